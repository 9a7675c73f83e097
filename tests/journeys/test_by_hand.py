"""Ploomber and PyIceberg used by hand, as README and pipeline.yaml say. What would go wrong: a documented command that
fails, and a notebook that one Save in another editor keeps from running."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from analytics.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose notebooks were saved with another kernel's name, and one prompt to read."""
    root = tmp_path_factory.mktemp("checkout")
    for path in PROJECT_ROOT.iterdir():
        if path.name not in (".env", ".git", "data", "notebooks", "pipeline.yaml", "env.yaml"):
            (root / path.name).symlink_to(path)
    for name in ("pipeline.yaml", "env.yaml"):
        shutil.copy(PROJECT_ROOT / name, root / name)
    shutil.copytree(PROJECT_ROOT / "notebooks" / "pipeline", root / "notebooks" / "pipeline")
    for notebook in (root / "notebooks" / "pipeline").glob("*.ipynb"):
        notebook.write_text(notebook.read_text().replace('"name": "python3"', '"name": "my-conda-env"'))
    project = root / "projects" / "-home-me-tiny"
    project.mkdir(parents=True)
    (project / "one.jsonl").write_text(
        '{"type":"user","uuid":"u1","sessionId":"one","cwd":"/home/me/tiny","timestamp":"2026-05-01T10:00:00.000Z",'
        '"message":{"role":"user","content":"hello"}}\n'
    )
    return root


def run(checkout: Path, *command: str) -> str:
    """What `command`, one of this environment's, prints in the checkout; it must succeed."""
    environment = {
        **os.environ,
        "ANALYTICS_PROJECT_ROOT": str(checkout),
        "DATA_DIR": str(checkout / "state"),
        "CLAUDE_PROJECTS_DIR": str(checkout / "projects"),
        "SOURCE": "jsonl",
        "PLOOMBER_STATS_ENABLED": "false",
    }
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run(
        [program, *command[1:]], cwd=checkout, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ploomber_draws_builds_in_part_and_runs_one_task(checkout: Path) -> None:
    executed = checkout / "executed"
    run(checkout, "ploomber", "plot", "--output", "pipeline.html")
    assert "extract" in (checkout / "pipeline.html").read_text()
    arguments = ("--env--runs", str(executed), "--env--run_id", "by-hand")
    run(checkout, "ploomber", "build", "--partially", "load", *arguments)
    assert sorted(path.stem for path in executed.glob("*.ipynb")) == ["extract", "load"]
    run(checkout, "ploomber", "task", "extract", *arguments, "--force")


def test_pyiceberg_reads_the_raw_tables_from_another_process(checkout: Path) -> None:
    run(checkout, "claude-analytics", "extract")
    code = """
from pyiceberg.catalog import load_catalog

catalog = load_catalog("default", type="sql", uri="sqlite:///{folder}/catalog.db", warehouse="file://{folder}")
print(catalog.load_table("raw.conversations").scan().to_arrow().num_rows)
"""
    folder = checkout / "state" / "iceberg"
    assert run(checkout, "python", "-c", code.format(folder=folder)).strip() == "1"
