"""A papermill engine that runs every notebook in this process, each in a fresh namespace.

A kernel per notebook costs about 1.5 s to start and imports pandas, DuckDB and dbt again: five times. Here
all notebooks of a run share one process that has them imported already. What a notebook leaves behind is what
a kernel leaves: streams, tables, charts, updates of a display and errors with their traceback land in the
executed copy.

`papermill --engine analytics notebook.ipynb out.ipynb` uses it by name; `analytics.runs.pipeline` makes it the
default for the time of a run. Everything works with papermill's own engine as well, only slower.

Engines: https://papermill.readthedocs.io/en/latest/extending-entry-points.html
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import nbformat
from ipykernel.compiler import XCachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from papermill.engines import Engine, NBClientEngine, NotebookExecutionManager
from traitlets import Type
from traitlets.config import Config

from analytics.common import progress


class Observer(Protocol):
    """Told about each notebook while the engine runs it."""

    def started(self, output_path: str) -> None:
        """The notebook that will be written to `output_path` starts."""

    def finished(self, output_path: str, notebook: nbformat.NotebookNode, error: BaseException | None) -> None:
        """It ended; `error` is what stopped it."""

    def scrub(self, text: str) -> str:
        """`text` fit to be stored: without secrets."""


_observer: Observer | None = None


@contextlib.contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Report notebooks to `observer` inside the block."""
    global _observer
    before, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = before


class InProcessEngine(Engine):
    """Runs the cells in an IPython shell of this process."""

    @classmethod
    def execute_notebook(cls, nb: nbformat.NotebookNode, kernel_name: str, **options: Any) -> nbformat.NotebookNode:
        """As papermill's, without its own bar when somebody else reports progress."""
        if _observer:
            options["progress_bar"] = False
        return super().execute_notebook(nb, kernel_name, **options)

    @classmethod
    def execute_managed_notebook(cls, nb_man: NotebookExecutionManager, kernel_name: str, **options: Any) -> None:
        """Run all cells; stop at the first that fails, its error being the cell's last output.

        Raises:
            KeyboardInterrupt: the run was interrupted; the notebook is saved as far as it got.
        """
        if get_ipython() is not None:  # called from inside a notebook: that shell must stay what it is
            NBClientEngine.execute_managed_notebook(nb_man, kernel_name, **options)
            return
        path = str(nb_man.output_path or "")
        error: BaseException | None = None
        if _observer:
            _observer.started(path)
        try:
            with _shell() as shell:
                error = _run_cells(shell, nb_man)
        except BaseException as unexpected:
            error = unexpected
            raise
        finally:
            if _observer:
                _observer.finished(path, nb_man.nb, error)
        if isinstance(error, KeyboardInterrupt):
            raise error


def _run_cells(shell: _Shell, nb_man: NotebookExecutionManager) -> BaseException | None:
    count = 0
    for index, cell in enumerate(nb_man.nb.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        count += 1
        nb_man.cell_start(cell, index)
        cell.execution_count = shell.execution_count = shell.outputs.count = count
        cell.outputs = shell.outputs.cells = []
        with contextlib.redirect_stdout(_Stream(shell.outputs, "stdout")):  # noqa: SIM117
            with _redirected_stderr(shell.outputs):
                outcome = shell.run_cell(cell.source, store_history=True)
        error = outcome.error_before_exec or outcome.error_in_exec or shell.outputs.shown_error()
        if error is not None:
            nb_man.cell_exception(cell, index, exception=error)
        nb_man.cell_complete(cell, index)
        if error is not None:
            return error
    return None


@contextlib.contextmanager
def _redirected_stderr(outputs: _Outputs) -> Iterator[None]:
    """Standard error into the notebook; progress bars still find the terminal."""
    with progress.bars_on(sys.stderr), contextlib.redirect_stderr(_Stream(outputs, "stderr")):
        yield


class _Outputs:
    """The outputs of the running cell, in the notebook format. https://nbformat.readthedocs.io"""

    def __init__(self) -> None:
        self.cells: list[Any] = []
        self.count = 0  # the running cell's number
        self._displays: dict[str, list[Any]] = {}
        self._clear_at_next = False

    def stream(self, name: str, text: str) -> None:
        text = _scrub(text)
        self._clear_if_asked()
        last = self.cells[-1] if self.cells else None
        if last is not None and last.output_type == "stream" and last.name == name:
            last.text += text
        else:
            self.cells.append(nbformat.v4.new_output("stream", name=name, text=text))

    def display(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None) -> None:
        self._clear_if_asked()
        output = nbformat.v4.new_output("display_data", data=_storable(data), metadata=metadata)
        self.cells.append(output)
        if display_id:
            self._displays.setdefault(display_id, []).append(output)

    def update(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str | None) -> None:
        for output in self._displays.get(display_id or "", []):
            output.data, output.metadata = nbformat.from_dict(_storable(data)), nbformat.from_dict(metadata)

    def result(self, data: dict[str, Any], metadata: dict[str, Any], count: int) -> None:
        self._clear_if_asked()
        self.cells.append(
            nbformat.v4.new_output("execute_result", data=_storable(data), metadata=metadata, execution_count=count)
        )

    def error(self, name: str, value: str, traceback: list[str]) -> None:
        self._clear_if_asked()
        self.cells.append(
            nbformat.v4.new_output(
                "error", ename=name, evalue=_scrub(value), traceback=[_scrub(line) for line in traceback]
            )
        )

    def shown_error(self) -> BaseException | None:
        """The error a cell shows although its code went through, as when a chart cannot be drawn."""
        for output in self.cells:
            if output.output_type == "error":
                return RuntimeError(f"{output.ename}: {output.evalue}")
        return None

    def clear(self, wait: bool) -> None:
        self._clear_at_next = True
        if not wait:
            self._clear_if_asked()

    def _clear_if_asked(self) -> None:
        if self._clear_at_next:
            self._clear_at_next = False
            self.cells.clear()


def _scrub(text: str) -> str:
    return _observer.scrub(text) if _observer else text


def _storable(data: dict[str, Any]) -> dict[str, Any]:
    """A display's data as a kernel would send it: images in base64, text without secrets."""
    from ipykernel.jsonutil import encode_images, json_clean

    clean = json_clean(encode_images(data))
    return {kind: _scrub(value) if isinstance(value, str) else value for kind, value in clean.items()}


class _Stream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a cell."""

    encoding = "utf-8"

    def __init__(self, outputs: _Outputs, name: str) -> None:
        self._outputs, self._name = outputs, name

    def write(self, text: str) -> int:
        if text:
            self._outputs.stream(self._name, text)
        return len(text)

    def writable(self) -> bool:
        return True


class _DisplayHook(DisplayHook):
    """The value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None) -> None:
        self.shell.outputs.result(format_dict, md_dict or {}, self.shell.outputs.count)

    def finish_displayhook(self) -> None:
        pass


class _DisplayPublisher(DisplayPublisher):
    """`display(...)`, its updates and `clear_output()`."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: Any = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: Any,
    ) -> None:
        show: Callable[..., None] = self.shell.outputs.update if update else self.shell.outputs.display
        show(data, metadata or {}, (transient or {}).get("display_id"))

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear(wait)


class _Shell(InteractiveShell):
    """IPython without a terminal: everything shown is collected."""

    displayhook_class = Type(_DisplayHook)
    display_pub_class = Type(_DisplayPublisher)
    compiler_class = Type(XCachingCompiler)  # names cells as a kernel does, so tracebacks show them alike

    def __init__(self, **options: Any) -> None:
        self.outputs = _Outputs()
        super().__init__(**options)

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        self.outputs.error(etype.__name__, str(evalue), stb)

    def enable_gui(self, gui: str | None = None) -> None:
        """A notebook has no GUI event loop."""


@contextlib.contextmanager
def _shell() -> Iterator[_Shell]:
    """A shell with an empty namespace; `__main__` and the working directory are put back afterwards."""
    config = Config()
    config.HistoryManager.enabled = False
    main = sys.modules["__main__"]
    with tempfile.TemporaryDirectory(prefix="ipython-") as folder:
        shell = _Shell.instance(
            config=config, user_module=types.ModuleType("__main__"), user_ns=None, ipython_dir=folder
        )
        try:
            with contextlib.chdir("."):
                yield shell
        finally:
            shell.reset(new_session=False)
            _Shell.clear_instance()
            sys.modules["__main__"] = main
