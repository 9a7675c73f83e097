"""The exploration notebooks run from top to bottom with nothing but DATA_DIR set. Without this, a renamed column or an
empty history would greet whoever opens one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dashboard_data
import nbformat
import pytest
import raw_tables
from analytics.settings import PROJECT_ROOT, Settings, load_settings
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

NOTEBOOKS = sorted((PROJECT_ROOT / "notebooks" / "explore").glob("*.ipynb"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published marts of no conversation at all."""
    return dashboard_data.published(tmp_path_factory.mktemp("empty"), raw_tables.documents([])).data_dir


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published marts of one small session."""
    return dashboard_data.published(tmp_path_factory.mktemp("tiny"), dashboard_data.tiny_history()).data_dir


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """A kernel in the notebooks' folder, as JupyterLab starts it; one for all: imports take most of the time."""
    manager = KernelManager()
    manager.start_kernel(cwd=str(NOTEBOOKS[0].parent))
    yield manager
    manager.shutdown_kernel(now=True)


def run(path: Path, data_dir: Path, kernel: KernelManager) -> nbformat.NotebookNode:
    """Execute a notebook from an empty namespace."""
    notebook = nbformat.read(path, as_version=4)
    fresh = f"%reset -f\n%env DATA_DIR={data_dir}"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(fresh))
    NotebookClient(notebook, km=kernel, timeout=120).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> str:
    """Everything the notebook shows, as text."""
    return "\n".join(
        str(output.get("text", "")) + "".join(map(str, output.get("data", {}).values()))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )


def test_every_theme_has_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "00_first_steps",
        "01_cost",
        "02_tools_and_failures",
        "03_sessions_and_prompts",
        "04_code_changes",
        "05_data_quality",
        "06_read_a_session",
        "07_compare_periods",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_opens_with_a_question_and_ends_with_things_to_try(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.splitlines()[0].startswith("# ")
    assert cells[0].source.splitlines()[0].endswith("?")
    assert cells[-1].source.startswith("## Things to try")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_on_an_empty_history(path: Path, empty: Path, kernel: KernelManager) -> None:
    assert "holds no conversations yet" in outputs(run(path, empty, kernel))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_on_a_tiny_history(path: Path, tiny: Path, kernel: KernelManager) -> None:
    shown = outputs(run(path, tiny, kernel))
    assert "1 sessions in 1 projects" in shown
    assert "<svg" in shown  # a chart that needs no network
    assert "https://cdn" not in shown


def test_marts_cannot_be_written_from_a_notebook(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tiny))
    import duckdb
    from analytics.warehouse import marts

    with (
        marts.connect(load_settings(data_dir=tiny)) as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("delete from dim_sessions")


@contextlib.contextmanager
def opened(how: str, settings: Settings, folder: Path) -> Iterator[Callable[[str], Any]]:
    """A function that runs SQL on the published database, as one of its readers does."""
    import sqlalchemy
    from analytics.quality.gx_duckdb import read_only_url, register
    from analytics.warehouse import marts

    database = settings.published_path.resolve()
    if how == "validate":
        register()
        engine = sqlalchemy.create_engine(read_only_url(database), poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:

            def execute(sql: str) -> Any:
                try:
                    return connection.execute(sqlalchemy.text(sql)).fetchall()
                finally:
                    connection.rollback()

            yield execute
        return
    openers = {
        "marts": lambda: marts.connect(settings),
        "version": lambda: marts.open_version(database),
        "export": lambda: marts.open_to_export(database, folder / "serving"),
    }
    with openers[how]() as connection:
        yield lambda sql: connection.execute(sql).fetchall()


@pytest.mark.parametrize("how", ["marts", "version", "export", "validate"])
def test_sql_over_the_marts_reaches_nothing_else(how: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    with opened(how, load_settings(data_dir=tiny), tmp_path) as execute:
        for sql in (
            f"copy (select 1) to '{tmp_path}/written.csv'",
            f"from read_text('{tmp_path}/secret.txt')",
            f"attach '{tmp_path}/other.db'",
            "set enable_external_access = true",
            "set allowed_directories = ['/']",
            "set lock_configuration = false",
        ):
            with pytest.raises(Exception, match=r"disabled|locked|Cannot"):
                execute(sql)
        assert execute("select count(*) from marts.dim_sessions")[0][0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]


def test_files_of_duckdb_are_opened_where_they_are_confined() -> None:
    """Every place that opens one: what reads does it in `marts`, the others build it."""
    found: dict[str, int] = {}
    for path in sorted((*(PROJECT_ROOT / "lib").rglob("*.py"), *(PROJECT_ROOT / "notebooks").rglob("*.ipynb"))):
        opens = re.findall(r"duckdb\.connect\(\s*(?!\)|config|\":memory:)", path.read_text())
        if opens:
            found[path.relative_to(PROJECT_ROOT).as_posix()] = len(opens)
    assert found == {
        "lib/analytics/warehouse/marts.py": 2,  # reads
        "lib/analytics/warehouse/serving.py": 1,  # writes views into a new file
        "lib/analytics/warehouse/working_copy.py": 1,  # builds
    }
    profile = (PROJECT_ROOT / "dbt" / "profiles.yml").read_text()
    assert re.search(r"enable_external_access: .*'false' if env_var\('ANALYTICS_ACCESS_MODE.*'read_only'", profile)
