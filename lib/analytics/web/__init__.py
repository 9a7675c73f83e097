"""The dashboards in the browser."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Jupyter Server's question to `ServerApp.jpserver_extensions = {"analytics.web": True}`."""
    from analytics.web.app import extension_points

    return extension_points()
