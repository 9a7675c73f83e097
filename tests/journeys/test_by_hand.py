"""The tools the workspace is made of, used by hand as the README says: Ploomber, papermill, dbt, Great Expectations,
PyIceberg. What would go wrong: a documented command that fails, a database of its own made beside the real one, and a
notebook that one Save in another editor keeps from running."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from analytics.runs.history import STAGES
from analytics.settings import PROJECT_ROOT
from journey import Checkout


def count(checkout: Checkout, query: str) -> int:
    """The one number that a query of the published database gives."""
    with duckdb.connect(str(checkout.data_dir / "analytics.db"), read_only=True) as connection:
        row = connection.sql(query).fetchone()
    assert row is not None
    return int(row[0])


# What the hostile sessions are warned of.
WARNINGS = {"expect_times_to_be_plausible", "expect_tool_names_to_be_valid"}
PROMPTS = "select sum(prompt_count) from marts.dim_sessions"


def test_papermill_runs_a_notebook_from_the_checkout_and_from_anywhere(built: Checkout, tmp_path: Path) -> None:
    built.type("papermill notebooks/pipeline/extract.ipynb out.ipynb")
    for stage in STAGES[:2]:
        source = built.root / "notebooks" / "pipeline" / f"{stage}.ipynb"
        built.type(f"cd {tmp_path} && papermill {source} {stage}.ipynb")
        assert f"state in {built.data_dir}" in (tmp_path / f"{stage}.ipynb").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["extract.ipynb", "load.ipynb"]


@pytest.fixture(scope="module")
def foreign(built: Checkout) -> Iterator[Checkout]:
    """The checkout with notebooks that an editor saved with its own kernel's name."""
    before = {path: path.read_text() for path in (built.root / "notebooks" / "pipeline").glob("*.ipynb")}
    for path, text in before.items():
        path.write_text(text.replace('"name": "python3"', '"name": "my-conda-env"'))
    yield built
    for path, text in before.items():
        path.write_text(text)


def test_ploomber_builds_what_is_new_draws_and_runs_one_stage_again(foreign: Checkout) -> None:
    before = count(foreign, PROMPTS)
    foreign.write_session("ploomber")
    said = foreign.type("ploomber build --env--run_id mine")
    assert "Summary" not in said  # Ploomber's word for warnings and errors
    assert count(foreign, PROMPTS) == before + 1
    executed = foreign.data_dir / "runs" / "ploomber"
    assert sorted(path.stem for path in executed.glob("*.ipynb")) == sorted(STAGES)
    foreign.type("ploomber task load --env--run_id mine --force")
    assert "extract" in foreign.type("ploomber status")
    assert "File('/tmp/o" in foreign.type("ploomber status", DATA_DIR="/tmp/other")  # as wide as its column is
    foreign.type("ploomber plot")
    assert "extract" in (foreign.root / "pipeline.html").read_text()
    first = (executed / "extract.ipynb").stat().st_mtime_ns
    foreign.type("ploomber build")
    assert (executed / "extract.ipynb").stat().st_mtime_ns > first  # it looks for new data each time


def test_dbt_names_the_command_that_does_and_that_works(built: Checkout) -> None:
    for command in ("cd dbt && dbt run", "cd dbt && dbt docs generate"):
        assert "use: claude-analytics dbt -- ARGUMENTS" in built.type(command, code=2)
    assert "dim_sessions" in built.type("claude-analytics dbt -- ls --select marts")
    assert not list((built.root / "dbt").glob("**/*.db")) + list((built.root / "dbt").glob("**/*.duckdb"))


def test_the_checkpoint_of_great_expectations(built: Checkout) -> None:
    found = re.search(
        r"^    import great_expectations.*?\n\n(?=\S)", (PROJECT_ROOT / "README.md").read_text(), re.M | re.S
    )
    assert found is not None
    lines = "\n".join(line[4:] for line in found[0].splitlines()).strip()
    code, number = lines.rsplit("context.checkpoints", 1)
    program = built.root.parent / "checkpoint.py"
    failed = []
    for documents in (count(built, "select count(*) from raw.conversations"), 1):
        call = re.sub(r"\d+(?=\})", str(documents), number)
        program.write_text(f"{code}\nprint(context.checkpoints{call}.describe())\n")
        checks = [check for layer in json.loads(built.type(f"python {program}"))["validation_results"]
                  for check in layer["expectations"]]  # fmt: skip
        failed.append({check["expectation_type"] for check in checks if not check["success"]})
    assert failed[0] <= WARNINGS
    assert failed[1] - failed[0] == {"expect_table_row_count_to_equal"}


def test_pyiceberg_reads_the_raw_tables_from_another_process(built: Checkout) -> None:
    call = re.search(r"`(load_catalog\(.+\))`", (PROJECT_ROOT / "README.md").read_text())
    assert call is not None
    program = built.root.parent / "iceberg.py"
    program.write_text(
        "from pyiceberg.catalog import load_catalog\n"
        f"catalog = {call[1].replace('/.../data', str(built.data_dir))}\n"
        "print(catalog.load_table('raw.conversations').scan().count())\n"
    )
    assert int(built.type(f"python {program}")) >= count(built, "select count(*) from raw.conversations")
