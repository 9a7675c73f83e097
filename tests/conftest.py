"""Fixtures for all tests. The directory of this file is where helper modules are imported from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples_dir() -> Path:
    """Real transcripts: `projects/` and `expected.json`. Where they are absent, tests that need them skip."""
    default = Path(__file__).resolve().parents[2] / "shared" / "transcripts"
    path = Path(os.environ.get("ANALYTICS_SAMPLES_DIR") or default)
    if not (path / "projects").is_dir():
        pytest.skip(f"no sample transcripts at {path}; set ANALYTICS_SAMPLES_DIR")
    return path
