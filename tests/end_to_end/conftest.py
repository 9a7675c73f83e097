"""Workspaces for whole runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty one."""
    return Workspace(tmp_path)


@pytest.fixture(scope="module")
def published(samples_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The sample transcripts after one run; tests must leave it as it is."""
    space = Workspace(tmp_path_factory.mktemp("published"), {"CLAUDE_PROJECTS_DIR": str(samples_dir / "projects")})
    space.pipeline()
    return space


@pytest.fixture
def copy_of(published: Workspace, tmp_path: Path) -> Workspace:
    """A copy of `published`, with transcripts of its own, to change."""
    shutil.copytree(published.env["CLAUDE_PROJECTS_DIR"], tmp_path / "projects", copy_function=shutil.copy)
    for path in (tmp_path / "projects").rglob("*"):
        path.chmod(path.stat().st_mode | 0o600)
    space = Workspace(tmp_path, {"CLAUDE_PROJECTS_DIR": str(tmp_path / "projects")})
    space.pipeline()
    return space
