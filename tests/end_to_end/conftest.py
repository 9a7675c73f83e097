"""Workspaces for whole runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Workspace

ODD = 'it\'s "ü" 100% %41 & $x;y'


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty one."""
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def published(samples_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The sample transcripts after one run, with transcripts of their own; tests must leave it as it is."""
    # any folder will do: what addresses, shells and format strings give a meaning to, and a link on the way
    root = tmp_path_factory.mktemp("published") / ODD
    (root / "~state").mkdir(parents=True)
    (root / "data").symlink_to("~state")
    shutil.copytree(samples_dir / "projects", root / "projects", copy_function=shutil.copy)
    for path in (root / "projects").rglob("*"):
        path.chmod(path.stat().st_mode | 0o600)
    space = Workspace(root, {"CLAUDE_PROJECTS_DIR": str(root / "projects")})
    space.pipeline()
    shutil.copytree(root, root.with_name("saved"), symlinks=True)
    return space


@pytest.fixture
def copy_of(published: Workspace) -> Iterator[Workspace]:
    """`published`, to change. It stays in its place, since paths in it are absolute, and is put back afterwards."""
    yield published
    shutil.rmtree(published.root)
    shutil.copytree(published.root.with_name("saved"), published.root, symlinks=True)
