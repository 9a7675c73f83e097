"""Try again what may pass by itself: the source is away, another run holds the lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from analytics.errors import AnalyticsError, BusyError, SourceUnavailableError

Result = TypeVar("Result")

TRANSIENT = (BusyError, SourceUnavailableError)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and after which pauses; each pause is twice the one before."""

    attempts: int = 6
    first_pause_seconds: float = 30
    longest_pause_seconds: float = 600

    def pauses(self) -> list[float]:
        """Seconds to wait before the second, third, … attempt."""
        return [
            min(self.first_pause_seconds * 2**number, self.longest_pause_seconds) for number in range(self.attempts - 1)
        ]


def retrying(
    action: Callable[[], Result],
    policy: RetryPolicy,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """The result of `action`, tried again while it fails with a transient error and attempts are left.

    Raises: the last error.
    """
    for number, pause in enumerate(policy.pauses(), start=1):
        try:
            return action()
        except TRANSIENT as error:
            say(f"attempt {number} of {policy.attempts}: {error}; again in {pause:.0f} s")
            sleep(pause)
    return action()


def is_transient(error: AnalyticsError) -> bool:
    """Whether trying again may help."""
    return isinstance(error, TRANSIENT)
