"""Named step boundaries, so that a test can kill a run exactly there.

`ANALYTICS_FAULT=publish.swapped` makes the process send itself SIGKILL when it reaches that step, as a power cut or
the kernel's out-of-memory killer would; `ANALYTICS_FAULT=extract.committed:3` the third time. Unset, as it always is
outside `tests/faults`, a step costs one look into the environment.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "ANALYTICS_FAULT"

# Where something has just become true, in the order of a run.
STEPS = (
    "sync.started",  # about to look into the files
    "sync.inserted",  # the server has acknowledged documents, the state file does not know it
    "sync.saved",  # the state file knows it
    "extract.started",
    "extract.read",  # documents are in memory
    "extract.positions",  # SOURCE=jsonl: positions wait for the commit that makes them true
    "extract.dead_letters",  # dead letters are committed, the rows read with them are not
    "extract.files",  # Parquet files are written, nothing refers to them
    "extract.committed",
    "load.started",
    "load.copied",  # the working copy exists
    "load.documents",  # it holds the new documents, its state is that of before
    "load.finished",
    "transform.started",
    "spark.written",  # all tables are written on their branches, `main` of none has moved
    "spark.moved",  # that of one more has
    "transform.built",  # dbt is through, what the build was made with is not noted
    "transform.finished",
    "validate.started",
    "validate.checked",  # results are written, the documentation is not
    "validate.finished",
    "publish.finished",  # the working copy is closed for good
    "publish.prepared",  # Parquet files of the marts are written beside those in use
    "publish.moved",  # the file is among the versions
    "publish.swapped",  # readers see it
    "publish.serving",  # open readers see it too, their views may still be the old ones
    "publish.served",
    "publish.pruned",
    "compact.files",  # merged files are written, nothing refers to them
    "compact.committed",
    "expire.expired",  # snapshots are gone, their files are not
    "expire.deleted",  # one more file is
    "purge.remembered",  # what may not come back is known, nothing is removed
    "purge.rows",  # the raw tables hold nothing of it
    "purge.published",  # older versions and executed notebooks are still there
    "replay.stored",  # rows of dead letters are stored, the dead letters are still there
    "replay.removed",
)

_reached = 0


def reached(step: str) -> None:
    """Say that `step` (one of STEPS) is reached; ends the process there and then if ANALYTICS_FAULT asks for it."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, times = wanted.partition(":")
    if name != step:
        return
    global _reached
    _reached += 1
    if _reached >= int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)
