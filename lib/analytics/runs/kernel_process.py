"""The kernel of a run, from inside: `python -m analytics.runs.kernel_process -f CONNECTION_FILE OUTSIDE`.

An IPython kernel like any other, with two differences: it dies with the run that started it, and its progress bars
go to the run's terminal (`OUTSIDE` is the number of a file descriptor).
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys

from analytics.common import progress

# From <linux/prctl.h>: the signal this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the kernel until it is told to stop, or until its parent is gone."""
    outside = int(sys.argv.pop())
    _die_with_parent()
    # the stack of a crash goes to the run's log: standard error is soon the notebook's
    faulthandler.enable(file=os.fdopen(os.dup(2), "w"))
    progress.shown_on(os.fdopen(outside, "w", buffering=1))
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance()


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
