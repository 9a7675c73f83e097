"""The project's own files agree with each other, and hold nothing that belongs to one machine."""

from __future__ import annotations

import re
import stat
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from analytics.cli import COMMANDS
from analytics.settings import PROJECT_ROOT, Settings
from packaging.requirements import Requirement

PYPROJECT = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())


def project_files() -> list[Path]:
    """Files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := PROJECT_ROOT / name).is_file()]


def locked(lock: str = "requirements.lock") -> dict[str, list[Requirement]]:
    """Package -> its pins in a lock file."""
    pins: dict[str, list[Requirement]] = {}
    for line in (PROJECT_ROOT / lock).read_text().splitlines():
        if line and line[0].isalnum():
            pin = Requirement(line.rstrip("\\").strip())
            pins.setdefault(normalized(pin.name), []).append(pin)
    return pins


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(*extras: str) -> list[Requirement]:
    groups = [PYPROJECT["project"]["optional-dependencies"][name] for name in extras]
    return [Requirement(text) for group in (PYPROJECT["project"]["dependencies"], *groups) for text in group]


def test_notebooks_carry_no_outputs() -> None:
    notebooks = [path for path in project_files() if path.suffix == ".ipynb"]
    assert len(notebooks) >= 5
    for path in notebooks:
        for cell in nbformat.read(path, 4).cells:
            assert not cell.get("outputs"), path
            assert cell.get("execution_count") is None, path


def test_pipeline_notebooks_document_their_parameters() -> None:
    for task in yaml.safe_load((PROJECT_ROOT / "pipeline.yaml").read_text())["tasks"]:
        notebook = nbformat.read(PROJECT_ROOT / task["source"], 4)
        assert notebook.cells[0].cell_type == "markdown"
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        declared = re.findall(r"^# .+\n(\w+) = ", cell.source, re.MULTILINE)
        assert set(task["params"]) <= set(declared), f"{task['source']}: a parameter without a comment"


LOCKS = {"requirements.lock": ("build",), "requirements-test.lock": ("build", "test")}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_satisfies_pyproject(lock: str) -> None:
    pins = locked(lock)
    for requirement in required(*LOCKS[lock]):
        found = pins.get(normalized(requirement.name))
        assert found, f"{requirement.name} is not in {lock}: make lock"
        for pin in found:
            (version,) = [spec.version for spec in pin.specifier]
            assert requirement.specifier.contains(version, prereleases=True), f"{pin} is not {requirement}: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_hashed_and_names_no_host(lock: str) -> None:
    text = (PROJECT_ROOT / lock).read_text()
    assert "://" not in text
    entries = re.findall(r"^[a-zA-Z0-9].*?(?=^[a-zA-Z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(entries) == sum(map(len, locked(lock).values()))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_environment_resolves_to_the_lock() -> None:
    environment = yaml.safe_load((PROJECT_ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == [f"python{PYPROJECT['project']['requires-python']}", "pip"]
    assert pip == {"pip": ["--requirement requirements.lock"]}  # nothing of its own that could differ


def test_every_make_target_is_documented() -> None:
    text = (PROJECT_ROOT / "Makefile").read_text()
    documented = set(re.findall(r"^([a-z][a-z-]*):.*## \S", text, re.MULTILINE))
    assert set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)) == documented
    assert set(re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE)) == documented
    shown = subprocess.run(["make"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
    assert documented == set(re.findall(r"^  ([a-z-]+) +\S", shown, re.MULTILINE))


def test_make_calls_only_commands_that_exist() -> None:
    called = set(re.findall(r"\$\(RUN\) ([a-z]+)", (PROJECT_ROOT / "Makefile").read_text()))
    assert called <= set(COMMANDS)


def test_readme_names_every_make_target_and_setting() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    for name in Settings.model_fields:
        assert f"`{name.upper()}`" in readme, f"README.md does not say what {name.upper()} is"
    for target in ("pipeline", "demo", "test", "lab", "docs", "dashboards", "deploy", "status", "up", "clean"):
        assert f"make {target}" in readme


def test_example_settings_are_the_settings() -> None:
    named = set(re.findall(r"^#([A-Z0-9_]+)=", (PROJECT_ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {name.upper() for name in Settings.model_fields} <= named


def test_no_path_of_a_machine_is_committed() -> None:
    own = [f"{folder}/" for folder in {PROJECT_ROOT, Path.home()} if len(folder.parts) > 1]
    for path in project_files():
        text = path.read_text(errors="ignore")
        assert not [folder for folder in own if folder in text], path


def test_scripts_can_be_executed() -> None:
    assert (PROJECT_ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR
