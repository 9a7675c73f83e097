"""The house: who may use whom, and how large a thing may be.

Without these a module that everybody uses grows until nobody can change it, and a circle comes back unseen."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LIB = ROOT / "lib"
FILES = sorted(LIB.rglob("*.py"))

# Lists of words, formats or bodies, one line each: long and not hard to read.
VOCABULARIES = {"transcript_generator/vocabulary.py", "transcript_generator/tools.py"}


def name(path: Path) -> str:
    return path.relative_to(LIB).as_posix()


def length(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_rooms_import_only_rooms_before_them_and_there_are_no_circles() -> None:
    """The contracts stand in pyproject.toml."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_room_is_in_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    held = {room.strip() for layer in layers for room in layer.split(":")}
    found = {f"analytics.{path.stem}" for path in (LIB / "analytics").iterdir() if path.name[0] not in "_."}
    assert found == held


def test_no_file_is_longer_than_400_lines() -> None:
    long = {name(path): length(path) for path in FILES if length(path) > 400}
    assert long.keys() <= VOCABULARIES, long


def test_the_package_stays_small_enough_for_one_head() -> None:
    assert sum(length(path) for path in FILES if name(path).startswith("analytics/")) <= 29_950


def imported() -> dict[str, str]:
    """Top-level module -> a file that imports it."""
    found: dict[str, str] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            found |= {module.partition(".")[0]: name(path) for module in modules}
    return found


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["spark"]]
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    known = packages_distributions()
    own = {"analytics", "analytics_expectations", "transcript_generator", *sys.stdlib_module_names}
    missing = {
        module: path
        for module, path in imported().items()
        if module not in own and not declared & {canonicalize_name(one) for one in known.get(module, [module])}
    }
    assert missing == {}
