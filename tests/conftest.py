"""Fixtures for all tests. The directory of this file is where helper modules are imported from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
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


# Its argument is a DATA_DIR.
_PARSE = """
import sys
from analytics.settings import load_settings
from analytics.warehouse.dbt_project import dbt_session
with dbt_session(load_settings(data_dir=sys.argv[1])):
    pass
"""


@pytest.fixture(scope="session", autouse=True)
def parsed_dbt_project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The dbt project, parsed once: dbt begins with it in every new DATA_DIR instead of parsing for two seconds."""
    if all("unit" in item.path.parts for item in request.session.items):
        yield
        return
    folder = tmp_path_factory.mktemp("dbt")
    subprocess.run([sys.executable, "-c", _PARSE, str(folder)], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_PARTIAL_PARSE_FILE_PATH", str(folder / "dbt" / "target" / "partial_parse.msgpack"))
        yield


@pytest.fixture(scope="module")
def no_prepared_plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As if `make setup` had left no plan: dbt builds what is built first."""
    with pytest.MonkeyPatch.context() as patch:
        nowhere = tmp_path_factory.mktemp("prepared") / "plan.json"
        patch.setattr("analytics.warehouse.transform.prepared_path", lambda: nowhere)
        yield
