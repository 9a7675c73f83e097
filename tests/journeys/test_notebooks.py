"""The notebooks work without our own command line too: plain Ploomber, plain papermill, JupyterLab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import nbformat
import pytest
from analytics.runs.history import STAGES
from analytics.settings import PROJECT_ROOT
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

NOTEBOOKS = PROJECT_ROOT / "notebooks" / "pipeline"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One prompt to read and a DATA_DIR of its own."""
    project = tmp_path / "projects" / "-home-me-tiny"
    project.mkdir(parents=True)
    (project / "one.jsonl").write_text(
        '{"type":"user","uuid":"u1","sessionId":"one","cwd":"/home/me/tiny","timestamp":"2026-05-01T10:00:00.000Z",'
        '"message":{"role":"user","content":"hello"}}\n'
    )
    return {
        **os.environ,
        "DATA_DIR": str(tmp_path / "data"),
        "CLAUDE_PROJECTS_DIR": str(tmp_path / "projects"),
        "SOURCE": "jsonl",
        "PLOOMBER_STATS_ENABLED": "false",
    }


def prompts(environment: dict[str, str]) -> int:
    """Prompts in the published database."""
    path = Path(environment["DATA_DIR"], "analytics.db").resolve()
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.sql("select sum(prompt_count) from marts.dim_sessions").fetchone()
    assert row is not None
    return int(row[0])


def test_ploomber_build_looks_for_new_data_each_time(environment: dict[str, str], tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("ploomber")), "build", "--env--runs", str(tmp_path / "executed")]

    def build() -> str:
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "Summary" not in build()  # Ploomber's word for warnings and errors
    assert prompts(environment) == 1
    file = next(Path(environment["CLAUDE_PROJECTS_DIR"]).rglob("*.jsonl"))
    file.write_text(file.read_text() + file.read_text().replace("u1", "u2").replace("hello", "once more"))
    build()
    assert prompts(environment) == 2
    assert sorted(path.stem for path in (tmp_path / "executed").glob("*.ipynb")) == sorted(STAGES)


def test_papermill_runs_every_notebook_from_the_repository_root(environment: dict[str, str], tmp_path: Path) -> None:
    for stage in STAGES:
        done = subprocess.run(
            [sys.executable, "-m", "papermill", f"notebooks/pipeline/{stage}.ipynb", str(tmp_path / f"{stage}.ipynb")],
            cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert prompts(environment) == 1


def test_notebooks_run_cell_by_cell_in_their_own_folder(environment: dict[str, str]) -> None:
    for stage in STAGES:
        notebook = nbformat.read(NOTEBOOKS / f"{stage}.ipynb", 4)
        # as JupyterLab starts a kernel
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS)}})
        client.execute(env=environment)
        shown = str([cell.get("outputs") for cell in notebook.cells])
        assert f"state in {environment['DATA_DIR']}" in shown
    assert prompts(environment) == 1
    assert not (NOTEBOOKS / "data").exists()
