"""A Metabase stand-in for tests: stricter than the real server wherever that one is silently lenient."""

from metabase_server.server import MetabaseServer, Modes

__all__ = ["MetabaseServer", "Modes"]
