"""The papermill engine that executes the notebooks of a run in one kernel.

A kernel of its own for each of five notebooks costs its start, and the imports in it, five times. Here each notebook
gets an empty namespace of the same kernel. Everything works with papermill's own engine as well, only slower.

A notebook whose imports take long can have a kernel apart, which imports them while the notebooks before it run.

Engines: https://papermill.readthedocs.io/en/latest/extending-entry-points.html
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines

from analytics.errors import KernelDiedError, first_line
from analytics.runs.kernel import STARTUP_SECONDS, Kernel
from analytics.settings import PROJECT_ROOT

logger = logging.getLogger(__name__)

OUTPUT_SECONDS = 120

# The name of a failure that no cell can report.
KERNEL_DIED = KernelDiedError.__name__


class Observer(Protocol):
    """Told about each notebook while the engine runs it."""

    def started(self, output_path: str) -> None:
        """The notebook that will be written to `output_path` starts."""

    def finished(self, output_path: str, notebook: NotebookNode, error: Failure | None) -> None:
        """It ended; `error` is what stopped it."""

    def scrub(self, text: str) -> str:
        """`text` fit to be stored: without secrets."""


class Failure(Exception):
    """What stopped a notebook: the name of the exception in its cell, or KERNEL_DIED, and what it says."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


# A notebook must not see what the one before it left behind; what that imported stays imported.
_EMPTY_NAMESPACE = f"get_ipython().reset(); __import__('os').chdir({str(PROJECT_ROOT)!r})"


class _Notebook(PapermillNotebookClient):  # type: ignore[misc]
    """Papermill's client, storing nothing that `scrub` takes away."""

    def __init__(
        self, nb_man: NotebookExecutionManager, manager: AsyncKernelManager, observer: Observer | None
    ) -> None:
        super().__init__(nb_man, km=manager, timeout=None, startup_timeout=STARTUP_SECONDS, log=logger)
        self.iopub_timeout = OUTPUT_SECONDS
        self._scrub = observer.scrub if observer else str

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Take in one message of the kernel."""
        if msg["msg_type"] in ("stream", "display_data", "update_display_data", "execute_result", "error"):
            msg["content"] = _texts(msg["content"], self._scrub)
        output = super().process_message(msg, cell, cell_index)
        if msg["msg_type"] == "stream":
            for stream in cell.outputs:
                if stream.output_type == "stream":  # a secret may have come in two pieces
                    stream.text = self._scrub(stream.text)
        return output

    def failure(self) -> Failure | None:
        """The first error that a cell shows, also one whose code went through, as when a chart cannot be drawn."""
        for cell in self.nb.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error":
                    return Failure(output.ename, output.evalue)
        return None


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    """`value` of a message with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_texts(item, change) for item in value]
    return {key: _texts(item, change) for key, item in value.items()} if isinstance(value, dict) else value


_kernel: Kernel | None = None
_apart: Mapping[str, Kernel] = {}
_observer: Observer | None = None


@contextlib.contextmanager
def one_kernel(kernel: Kernel, observer: Observer, apart: Mapping[str, Kernel]) -> Iterator[None]:
    """Within the block papermill, and so Ploomber, runs every notebook in `kernel` and tells `observer`.

    Args:
        apart: the kernels of notebooks that have one of their own, by the notebook's name; looked at when such a
            notebook starts.
    """
    global _kernel, _observer, _apart
    # Ploomber cannot name another papermill engine in pipeline.yaml: for this time it is the default.
    default = papermill_engines.get_engine(None)
    papermill_engines.register(None, RunEngine)
    _kernel, _observer, _apart = kernel, observer, apart
    try:
        yield
    finally:
        _kernel = _observer = None
        _apart = {}
        papermill_engines.register(None, default)


class RunEngine(Engine):  # type: ignore[misc]
    """Runs the cells in the kernel of `one_kernel`; outside of it in one that lives as long as the notebook runs."""

    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
        """As papermill's, without its own bar when an observer reports progress."""
        if _observer:
            options["progress_bar"] = False
        return super().execute_notebook(nb, kernel_name, **options)

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: Any) -> None:
        """Run all cells; stop at the first that fails, its error being the cell's last output.

        Raises:
            Failure: the kernel died.
        """
        if _kernel is not None:
            _execute(nb_man, _apart.get(Path(nb_man.output_path or "").stem, _kernel), _observer)
            return
        kernel = Kernel(Path(os.devnull))
        try:
            _execute(nb_man, kernel, None)
        finally:
            kernel.kill()


def _execute(nb_man: NotebookExecutionManager, kernel: Kernel, observer: Observer | None) -> None:
    path = str(nb_man.output_path or "")
    if observer:
        observer.started(path)
    failure: Failure | None = None
    try:
        failure = _run_cells(nb_man, kernel, observer)
    except BaseException as error:
        failure = Failure(type(error).__name__, first_line(error))
        raise
    finally:
        if observer:
            observer.finished(path, nb_man.nb, failure)
    if failure is not None and failure.name == KERNEL_DIED:
        raise failure


def _run_cells(nb_man: NotebookExecutionManager, kernel: Kernel, observer: Observer | None) -> Failure | None:
    """Run the cells of a notebook in an empty namespace; returns what stopped it."""
    notebook = _Notebook(nb_man, kernel.manager, observer)
    try:
        notebook.kc = kernel.connect()
        notebook.wait_for_reply(notebook.kc.execute(_EMPTY_NAMESPACE, silent=True, store_history=False))
        notebook.execute(cleanup_kc=False)
    except (DeadKernelError, RuntimeError):
        # what nbclient and jupyter_client raise for a kernel that ended, also while it starts
        if not kernel.is_dead:
            raise
        return Failure(KERNEL_DIED, kernel.how_it_died())
    return notebook.failure()


# What installations from before registered with papermill, which imports it whatever it then uses.
InProcessEngine = RunEngine
