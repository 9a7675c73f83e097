"""The kernel of a run, from inside: `python -m analytics.runs.kernel_process -f CONNECTION_FILE OUTSIDE MODULE...`.

An IPython kernel like any other, with three differences: it dies with the run that started it, its progress bars
go to the run's terminal (`OUTSIDE` is the number of a file descriptor), and the modules are imported before the first
cell asks for them.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import os
import signal
import sys

from analytics.common import progress
from analytics.common.process import rarely_look_for_cycles, without_url_grammar
from analytics.runs.surroundings import prepare_notebook

# From <linux/prctl.h>: the signal this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the kernel until it is told to stop, or until its parent is gone."""
    outside, *modules = sys.argv[3:]
    del sys.argv[3:]
    rarely_look_for_cycles()
    _die_with_parent()
    # the stack of a crash goes to the run's log: standard error is soon the notebook's
    faulthandler.enable(file=os.fdopen(os.dup(2), "w"))
    progress.shown_on(os.fdopen(int(outside), "w", buffering=1))
    from ipykernel.kernelapp import IPKernelApp

    if modules:
        _preload(modules)
        # IPython looks for cycles whenever it forgets a notebook's names: 0.15 s, unless what is imported is left out
        gc.freeze()
    IPKernelApp.launch_instance()


def _preload(modules: list[str]) -> None:
    """Import the modules, and draw a chart that nobody sees: what draws them takes a third of a second to start."""
    with without_url_grammar(), contextlib.suppress(Exception):  # the stage that needs it will say what is wrong
        for module in modules:
            importlib.import_module(module)
        import altair
        import pandas

        prepare_notebook()
        altair.Chart(pandas.DataFrame({"x": [0]})).mark_bar().encode(x="x:Q")._repr_mimebundle_()


def _die_with_parent() -> None:
    """Have Linux kill this process when its parent ends, however that ends. Elsewhere ipykernel looks once a second.

    A run that is killed must not leave a stage behind that goes on writing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = os.environ.get("JPY_PARENT_PID")
    if parent and os.getppid() != int(parent):  # it ended before we asked
        sys.exit(1)


if __name__ == "__main__":
    main()
