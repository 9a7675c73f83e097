"""The kernel of a run. What would go wrong: a notebook that sees the one before it, a secret in an executed copy, a
crash that takes the run along, and a kernel that goes on writing after its run was killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from analytics.runs.kernel import Kernel
from analytics.runs.notebook_engine import KERNEL_DIED, Failure, one_kernel
from analytics.settings import PROJECT_ROOT
from command_line import is_alive
from papermill.exceptions import PapermillExecutionError

SECRET = "hunter22"


class Watch:
    """Remembers what it is told, masks one secret."""

    def __init__(self) -> None:
        self.failures: list[Failure | None] = []

    def started(self, output_path: str) -> None:
        pass

    def finished(self, output_path: str, notebook: Any, error: Failure | None) -> None:
        self.failures.append(error)

    def scrub(self, text: str) -> str:
        return text.replace(SECRET, "***")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel for the tests that leave it alive."""
    kernel = Kernel(tmp_path_factory.mktemp("log") / "run.log")
    yield kernel
    kernel.kill()


def execute(kernel: Kernel, folder: Path, *cells: str, saved_kernel: str = "python3") -> tuple[Any, Failure | None]:
    """The executed notebook of `cells` and what stopped it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": saved_kernel, "display_name": saved_kernel, "language": "python"}
    path, executed = folder / "cells.ipynb", folder / "executed.ipynb"
    nbformat.write(notebook, path)
    watch = Watch()
    with one_kernel(kernel, watch, {}), contextlib.suppress(PapermillExecutionError, Failure):
        papermill.execute_notebook(path, executed)
    return nbformat.read(executed, 4), watch.failures[-1]


def shown(notebook: Any) -> str:
    return str([cell.get("outputs") for cell in notebook.cells])


def test_a_notebook_sees_nothing_of_the_one_before(shared: Kernel, tmp_path: Path) -> None:
    execute(shared, tmp_path, "left_behind = 1\nimport os, json\nos.chdir('/')\nos.environ['KEPT'] = 'yes'")
    notebook, failure = execute(
        shared, tmp_path, "import os, sys\nprint('left_behind' in globals(), os.getcwd(), 'json' in sys.modules)"
    )
    assert failure is None
    assert f"False {PROJECT_ROOT} True" in shown(notebook)
    assert notebook.cells[0].execution_count == 1


def test_any_saved_kernel_name_works(shared: Kernel, tmp_path: Path) -> None:
    notebook, failure = execute(shared, tmp_path, "import sys\nprint(sys.executable)", saved_kernel="my-conda-env")
    assert failure is None
    assert sys.executable in shown(notebook)


def test_any_saved_kernel_name_works_by_hand(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(6 * 7)")])
    notebook.metadata["kernelspec"] = {"name": "my-conda-env", "display_name": "mine", "language": "python"}
    nbformat.write(notebook, tmp_path / "cells.ipynb")
    command = [sys.executable, "-m", "papermill", "--engine", "analytics", "cells.ipynb", "executed.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "42" in shown(nbformat.read(tmp_path / "executed.ipynb", 4))


def test_no_secret_is_stored_wherever_it_is_shown(shared: Kernel, tmp_path: Path) -> None:
    notebook, failure = execute(
        shared,
        tmp_path,
        "import sys, time\nprint('hun', end='', flush=True)\ntime.sleep(0.5)\nprint('ter22')",
        "print('hunt' + 'er22', file=sys.stderr)",
        "'hunt' + 'er22'",
        "from IPython.display import HTML, display\ndisplay(HTML('<b>hunt' + 'er22</b>'))",
        "raise ValueError('hunt' + 'er22')",
    )
    assert SECRET not in shown(notebook)
    assert shown(notebook).count("***") >= 5
    assert str(failure) == "***"


@pytest.mark.parametrize(
    ("cell", "name", "message"),
    [
        ("raise KeyError('what went wrong')", "KeyError", "what went wrong"),
        ("import sys\nsys.exit(3)", "SystemExit", "3"),
        ("class Odd:\n    def _repr_html_(self):\n        raise TypeError('odd')\n\nOdd()", "TypeError", "odd"),
    ],
)  # fmt: skip
def test_the_first_error_stops_a_notebook(shared: Kernel, tmp_path: Path, cell: str, name: str, message: str) -> None:
    notebook, failure = execute(shared, tmp_path, "print('before')", cell, "print('never')")
    assert failure is not None
    assert failure.name == name
    assert message in failure.message
    assert "never" not in shown(notebook)
    assert execute(shared, tmp_path, "print('the kernel lives')")[1] is None


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("import os\nos.abort()", "a library aborted the kernel (SIGABRT)"),
        ("import ctypes\nctypes.string_at(0)", "a library crashed the kernel (SIGSEGV)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "killed the kernel (SIGKILL)"),
        ("import os\nos._exit(7)", "with exit code 7"),
    ],
)
def test_a_kernel_that_dies_is_told_and_what_it_showed_is_kept(tmp_path: Path, cell: str, message: str) -> None:
    kernel = Kernel(tmp_path / "run.log")
    try:
        notebook, failure = execute(kernel, tmp_path, "print('before')", cell)
    finally:
        kernel.kill()
    assert failure is not None
    assert failure.name == KERNEL_DIED
    assert message in failure.message
    assert "before" in shown(notebook)


PARENT = """
import sys, time
from pathlib import Path
from analytics.runs.kernel import Kernel

kernel = Kernel(Path("run.log"))
print(kernel.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("at_once", [True, False], ids=["starting", "started"])
def test_a_kernel_dies_within_a_second_of_its_run(tmp_path: Path, at_once: bool) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    if not at_once:
        time.sleep(3)
        assert is_alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 1
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)
