"""Whether a run has anything to do: asked before a kernel is started, or anything that takes long to import."""

from __future__ import annotations

from analytics.runs.history import Run
from analytics.settings import Settings


def nothing_to_do(settings: Settings, last: Run | None) -> int | None:
    """The newest snapshot of raw.conversations, when all stages would say that nothing is new; None when in doubt.

    Args:
        last: the run before this one.

    Raises:
        AnalyticsError: the source cannot be asked (or one of its kinds).
    """
    if last is None or last.outcome not in ("succeeded", "nothing_new"):
        return None  # it may have left something to finish
    if settings.build_path.exists() or not settings.published_path.exists():
        return None
    from analytics.raw.glance import glance
    from analytics.sources import open_source
    from analytics.warehouse.load import is_loaded

    seen = glance(settings)
    if seen is None or not is_loaded(settings, seen.has_rows_since, seen.dead_letter_snapshot_id):
        return None
    with open_source(settings) as source:
        return None if source.has_news(seen) else seen.snapshot_id
