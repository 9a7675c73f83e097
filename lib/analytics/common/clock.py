"""What time it is, for everything that is stored, named or compared by it.

It is read from `time.time`, where PyIceberg takes the times of its snapshots from: who replaces that one function
simulates the clock of both, and years of schedules can be tried in minutes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """This moment."""
    return datetime.fromtimestamp(time.time(), UTC)
