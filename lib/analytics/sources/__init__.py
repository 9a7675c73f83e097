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


def nothing_there(settings: Settings) -> str:
    """What to say where the source holds nothing at all: where was looked, and what to do."""
    if settings.source == "mongodb":
        found = f"no documents in {settings.mongo_db}.{settings.mongo_collection} on the server of MONGO_URI"
        return f"{found}: check MONGO_DB and MONGO_COLLECTION, or fill it with `claude-analytics sync`"
    from analytics.sources.positions import no_transcripts

    return no_transcripts(settings)
