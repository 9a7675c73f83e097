"""Where documents come from. Every source yields `Batch`es; everything after is the same for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analytics.settings import Settings

if TYPE_CHECKING:
    from pymongo import MongoClient

    from analytics.sources.batch import Source


def open_source(settings: Settings, client: MongoClient[Any] | None = None) -> Source:
    """The source that SOURCE names. Nothing of the others is imported.

    Args:
        client: an open connection to the server of MONGO_URI.

    Raises:
        ConfigError: a setting of the source is wrong.
    """
    if settings.source == "mongodb":
        from analytics.sources.mongodb import MongoSource

        return MongoSource(settings, client)
    from analytics.sources.jsonl import JsonlSource

    return JsonlSource(settings)
