"""What the published database says, for people."""

from __future__ import annotations
from analytics.settings import Settings


def summary(settings: Settings) -> str:
    return ""
