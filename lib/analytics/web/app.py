"""The pages as a Jupyter Server extension: that server's token, Host check and XSRF protection hold for them too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp

from analytics.common.page import environment
from analytics.settings import load_settings
from analytics.web.handlers import routes
from analytics.web.pages import Pages

STATIC = Path(__file__).parent / "static"
# One for each core of a small machine: DuckDB uses all of them for one query.
THREADS = 2


class AnalyticsApp(ExtensionApp):
    """`/analytics/`: dashboards, cards, runs."""

    name = "analytics"
    app_name = "Claude Code analytics"
    description = "Dashboards of your Claude Code usage"
    extension_url = "/analytics/"
    load_other_extensions = False
    static_paths = [str(STATIC)]  # noqa: RUF012  # a trait of the base class

    @classmethod
    def get_extension_package(cls) -> str:
        """Where Jupyter Server finds the extension: by default it looks in the outermost package only."""
        return "analytics.web"

    def initialize_settings(self) -> None:
        """What the handlers use."""
        base = self.settings["base_url"].rstrip("/") + "/analytics/"
        # notebooks can be opened where the pages are part of JupyterLab
        extensions = self.serverapp.extension_manager.extensions if self.serverapp else {}
        lab = self.settings["base_url"].rstrip("/") + "/lab" if "jupyterlab" in extensions else None
        self.settings["analytics_pages"] = Pages(load_settings(), base, lab=lab)
        self.settings["analytics_templates"] = environment("analytics.web")
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="analytics")
        self.settings["analytics_threads"] = threads
        threads.submit(self.settings["analytics_pages"].warm_up)

    def initialize_handlers(self) -> None:
        """Every page's address."""
        self.handlers.extend(routes())

    async def stop_extension(self) -> None:
        """End the threads; their connections go with them."""
        self.settings["analytics_threads"].shutdown(wait=False, cancel_futures=True)


def extension_points() -> list[dict[str, Any]]:
    """What Jupyter Server asks a package that is an extension for."""
    return [{"module": "analytics.web", "app": AnalyticsApp}]
