"""Addresses and answers: what was asked, by whom it may be asked, and what a page may load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import duckdb
from jinja2 import Environment
from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from analytics.errors import AnalyticsError
from analytics.web import export, session_pages
from analytics.web.choice import BadAddress
from analytics.web.compare import compare
from analytics.web.home import home
from analytics.web.pages import Pages
from analytics.web.run_pages import run, runs

# Scripts, styles and requests of this server only; style attributes carry the lengths of bars, which are numbers.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Pages that others made, and those of executed notebooks: shown, but without scripts, forms and an origin.
CONFINED = "sandbox; default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:"

T = TypeVar("T")


class Handler(JupyterHandler):
    """A page of ours: only for who has the token, under our policy, one sentence when it cannot be shown."""

    @property
    def content_security_policy(self) -> str:
        """Jupyter Server puts it on every answer."""
        return POLICY

    @property
    def pages(self) -> Pages:
        """What the pages show."""
        return self.settings["analytics_pages"]

    @property
    def arguments_once(self) -> dict[str, str]:
        """The address's words, the last of each, letter by letter: Tornado's own reading leaves control characters
        away, and no project that has one in its name is found."""
        return {name: values[-1].decode("utf-8", "replace") for name, values in self.request.query_arguments.items()}

    def set_default_headers(self) -> None:
        """Nothing of a transcript is kept by a browser or proxy, or told to another site."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """Run a question to the database in a thread.

        Raises:
            web.HTTPError: what a reader can be told in one sentence.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.settings["analytics_threads"], question, *arguments)
        except BadAddress as error:
            raise web.HTTPError(error.status, reason=None, log_message=str(error).replace("%", "%%")) from None
        except AnalyticsError as error:
            raise web.HTTPError(503, log_message=str(error).replace("%", "%%")) from None
        except (duckdb.BinderException, duckdb.CatalogException):
            self.log.exception("a page's question does not fit the published tables")
            said = (
                "The published numbers are of another version of this project: run `make pipeline` to build them anew."
            )
            raise web.HTTPError(503, log_message=said) from None
        except duckdb.Error as error:
            self.log.exception("a page's question failed")
            first = str(error).splitlines()[0].replace("%", "%%")
            raise web.HTTPError(500, log_message=f"The published database does not answer: {first}") from None

    def show(self, template: str, context: dict[str, Any]) -> None:
        """Answer with a page."""
        environment: Environment = self.settings["analytics_templates"]
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(environment.get_template(template).render(static=self._static, **context))

    def _static(self, path: str) -> str:
        return f"{self.base_url}static/analytics/{path}"

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """An answer that says what is wrong is no fault of ours; the line about it would hold the token."""
        if not isinstance(value, web.HTTPError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """One sentence, as a page, or as text where only a part of a page was asked for."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        said = error.log_message.replace("%%", "%") if isinstance(error, web.HTTPError) and error.log_message else ""
        said = said or {403: "Log in first.", 404: "There is no such page."}.get(status_code, "This cannot be shown.")
        self.set_status(status_code)
        if self.request.headers.get("HX-Request") or not self.current_user:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(said)
            return
        self.show(
            "message.html",
            {**self.pages.frame(None, "Not found" if status_code == 404 else "Not shown"), "message": said},
        )


def page(template: str, question: Callable[..., dict[str, Any]], *, words: bool = False) -> type[Handler]:
    """A handler that shows what `question` says.

    Args:
        question: called with the pages, the address's parts and, with `words`, the words behind its `?`.
    """

    class Page(Handler):
        @web.authenticated
        async def get(self, *parts: str) -> None:
            takes = [*parts, self.arguments_once] if words else list(parts)
            self.show(template, await self.ask(question, self.pages, *takes))

    return Page


def file(question: Callable[..., export.File]) -> type[Handler]:
    """A handler that sends what `question` makes of the pages, the address's parts and the words behind its `?`."""

    class Sent(Handler):
        @web.authenticated
        async def get(self, *parts: str) -> None:
            made = await self.ask(question, self.pages, *parts, self.arguments_once)
            self.set_header("Content-Type", made.content_type)
            self.set_header("Content-Disposition", f'attachment; filename="{made.name}"')
            self.finish(made.content)

    return Sent


class RunFile(Handler):
    """A page of an executed notebook, which shows somebody's text: confined."""

    @property
    def content_security_policy(self) -> str:
        """No script, no form, no origin."""
        return CONFINED

    @web.authenticated
    async def get(self, run: str, name: str) -> None:
        """Answer with the page."""
        path = (self.pages.settings.runs_dir / run / name).resolve()
        if not path.is_relative_to(self.pages.settings.runs_dir.resolve()) or not path.is_file():
            raise web.HTTPError(404, log_message="There is no such page of a run.")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(await self.ask(path.read_bytes))


class DataDocs(web.StaticFileHandler, Handler):
    """Great Expectations' pages: made by others, confined."""

    @property
    def content_security_policy(self) -> str:
        """No script, no form, no origin."""
        return CONFINED

    @web.authenticated
    async def get(self, path: str, include_body: bool = True) -> None:  # type: ignore[override]
        """Answer with a file of the folder."""
        await super().get(path, include_body)

    def initialize(self) -> None:  # type: ignore[override]
        """The folder is known when a request comes."""
        super().initialize(path=str(self.pages.settings.data_docs_dir))


def routes() -> list[tuple[Any, ...]]:
    """Addresses, below the server's base address, and what answers them."""
    key = r"([a-z0-9_]+)"
    return [
        (r"/analytics", web.RedirectHandler, {"url": "analytics/"}),
        (r"/analytics/", page("home.html", home)),
        (rf"/analytics/dashboards/{key}", page("dashboard.html", Pages.dashboard, words=True)),
        (rf"/analytics/cards/{key}", page("card.html", Pages.card_page, words=True)),
        (rf"/analytics/cards/{key}/body", page("_card_body.html", Pages.card_body, words=True)),
        (rf"/analytics/cards/{key}\.(csv|json|png)", file(export.card_file)),
        (r"/analytics/sessions", page("sessions.html", session_pages.sessions, words=True)),
        (r"/analytics/sessions/([^/]+)", page("session.html", session_pages.session, words=True)),
        (r"/analytics/sessions/([^/]+)/steps", page("_steps.html", session_pages.steps, words=True)),
        (r"/analytics/sessions/([^/]+)/text", page("_text.html", session_pages.text, words=True)),
        (r"/analytics/sessions/([^/]+)/find", page("_find.html", session_pages.found_in, words=True)),
        (r"/analytics/sessions/([^/]+)/branch/([^/]+)", page("_steps.html", session_pages.branch)),
        (r"/analytics/sessions/([^/]+)/session\.(md|html)", file(session_pages.exported)),
        (r"/analytics/edits", page("list.html", session_pages.edits, words=True)),
        (r"/analytics/compare", page("compare.html", compare, words=True)),
        (r"/analytics/runs", page("list.html", runs)),
        (r"/analytics/runs/([^/]+)", page("run.html", run)),
        (r"/analytics/runs/([^/]+)/([a-z_]+\.html)", RunFile),
        (r"/analytics/columns", page("list.html", Pages.columns)),
        (r"/analytics/data-docs/(.*)", DataDocs),
        (r"/analytics/.*", page("message.html", Pages.nothing)),
    ]
