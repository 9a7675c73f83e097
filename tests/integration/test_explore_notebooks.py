"""The exploration notebooks run from top to bottom with nothing but DATA_DIR set. Without this, a renamed column or an
empty history would greet whoever opens one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dashboard_data
import nbformat
import pytest
import raw_tables
from analytics.settings import PROJECT_ROOT
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
    from analytics.settings import load_settings
    from analytics.warehouse import marts

    with (
        marts.connect(load_settings(data_dir=tiny)) as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("delete from dim_sessions")


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{folder}/written.csv'",
        "from read_text('{folder}/secret.txt')",
        "attach '{folder}/other.db'",
        "set enable_external_access = true",
        "set lock_configuration = false",
    ],
)
def test_sql_over_the_marts_reaches_nothing_else(sql: str, tiny: Path, tmp_path: Path) -> None:
    import duckdb
    from analytics.settings import load_settings
    from analytics.warehouse import marts

    (tmp_path / "secret.txt").write_text("secret")
    with marts.connect(load_settings(data_dir=tiny)) as connection:
        with pytest.raises(duckdb.Error, match=r"disabled|locked|Cannot"):
            connection.execute(sql.format(folder=tmp_path))
        assert connection.execute("select count(*) from dim_sessions").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]
