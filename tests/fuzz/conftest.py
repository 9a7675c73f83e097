"""The fault tests' servers and workspaces."""

from faults.conftest import _clean_environment, database, mongo_server, workspace

__all__ = ["_clean_environment", "database", "mongo_server", "workspace"]
