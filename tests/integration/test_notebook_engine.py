"""The in-process engine leaves in a notebook what a kernel leaves there.

Every case runs twice, with a real kernel and in this process, and the executed notebooks are compared.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from analytics.runs.notebook_engine import InProcessEngine, observed_by
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError

CELLS = {
    "streams": "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')",
    "last_expression": "import pandas as pd\npd.DataFrame({'a': [1, 2]})",
    "silenced_expression": "1 + 1;",
    "assignment": "answer = 42",
    "namespace": "(answer, __name__)",
    "display": (
        "from IPython.display import HTML, display\n"
        "display(HTML('<b>bold</b>'))\ndisplay({'text/plain': 'raw'}, raw=True)"
    ),
    "update": "handle = display('first', display_id='x')\nhandle.update('second')",
    "clear": "from IPython.display import clear_output\nprint('gone')\nclear_output(wait=True)\nprint('kept')",
    "chart": (
        "import altair as alt\nalt.renderers.enable('svg')\n"
        "alt.Chart(pd.DataFrame({'x': [1, 2], 'y': [3, 4]})).mark_bar().encode(x='x', y='y')"
    ),
    "image": "from IPython.display import Image\nImage(b'\\x89PNG\\r\\n\\x1a\\n' + b'0' * 20)",
    "magic": "%precision 3\n0.123456",
    "await": "import asyncio\nawait asyncio.sleep(0)\n'awaited'",
    "empty": "",
}


@pytest.fixture(autouse=True)
def engine() -> None:
    """The engine under its name, also where the package was installed before it had one."""
    papermill_engines.register("analytics", InProcessEngine)


def execute(folder: Path, cells: list[str], engine: str | None) -> nbformat.NotebookNode:
    """The notebook of `cells` after papermill ran it; errors stay in it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / f"{engine}.ipynb"
    nbformat.write(notebook, path)
    executed = folder / f"{engine}-executed.ipynb"
    with contextlib.suppress(PapermillExecutionError):
        papermill.execute_notebook(path, executed, engine_name=engine, progress_bar=False)
    return nbformat.read(executed, 4)


def test_outputs_equal_a_kernels_when_everything_is_shown(tmp_path: Path) -> None:
    own = execute(tmp_path, list(CELLS.values()), "analytics")
    kernel = execute(tmp_path, list(CELLS.values()), None)
    for name, left, right in zip(CELLS, own.cells, kernel.cells, strict=True):
        assert comparable(left) == comparable(right), name
        assert left.execution_count == right.execution_count, name
        assert left.metadata.papermill.status == right.metadata.papermill.status, name


@pytest.mark.parametrize(
    "failing",
    [
        "def inner():\n    raise ValueError('what went wrong')\n\ninner()",
        "this is no python",
        "import sys\nsys.exit(3)",
        "class Odd:\n    def _repr_html_(self):\n        raise KeyError('cannot be shown')\n\nOdd()",
    ],
    ids=["exception", "syntax", "exit", "display"],
)
def test_error_equals_a_kernels_when_a_cell_fails(tmp_path: Path, failing: str) -> None:
    cells = ["print('before')", failing, "print('never')"]
    own, kernel = execute(tmp_path, cells, "analytics"), execute(tmp_path, cells, None)
    for left, right in zip(own.cells, kernel.cells, strict=True):
        assert left.source == right.source  # with the markers papermill puts around the failing cell
        assert comparable(left) == comparable(right)


def comparable(cell: nbformat.NotebookNode) -> list[object]:
    """A cell's outputs without what is no part of them.

    A kernel sends streams from a buffer, so only the order within each counts; addresses, colours and a cell's
    temporary file name differ from run to run.
    """
    found: list[object] = []
    streams: dict[str, str] = {}
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            if "To exit: use" not in output.text:  # IPython's warning, which pytest collects itself
                streams[output.name] = streams.get(output.name, "") + output.text
        else:
            noise = r"0x[0-9a-f]+|\x1b\[[0-9;]*m|File \S+ipykernel\S+|File <ipython\S+|Cell In\[\d+\]"
            found.append(re.sub(noise, "", str(dict(output)).replace("\\x1b", "\x1b")))
    return [*found, streams]


def test_namespace_is_clean_when_another_notebook_ran_before(tmp_path: Path) -> None:
    main = sys.modules["__main__"]
    execute(tmp_path, ["left_behind = 1\nimport os\nos.chdir('/')"], "analytics")
    second = execute(tmp_path, ["'left_behind' in globals()"], "analytics")
    assert second.cells[0].outputs[0].data["text/plain"] == "False"
    assert sys.modules["__main__"] is main
    assert Path.cwd() != Path("/")


def test_secret_is_masked_when_a_notebook_shows_it(tmp_path: Path) -> None:
    class Masking:
        def started(self, output_path: str) -> None: ...

        def finished(self, output_path: str, notebook: object, error: BaseException | None) -> None: ...

        def scrub(self, text: str) -> str:
            return text.replace("hunter22", "***")

    with observed_by(Masking()):
        execute(
            tmp_path,
            ["print('hunter22')", "'hunter22'", "raise ValueError('hunter22')"],
            "analytics",
        )
    shown = nbformat.read(tmp_path / "analytics-executed.ipynb", 4)
    assert "hunter22" not in str([cell.get("outputs") for cell in shown.cells])
    assert str([cell.get("outputs") for cell in shown.cells]).count("***") >= 3
