"""What a run's code works in: the settings as environment variables, a log, and no secrets in anything written."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import SecretStr

from analytics.common.process import environment, without_url_grammar
from analytics.common.text import clean
from analytics.settings import PROJECT_ROOT, Settings

# Transcripts are private: nothing that runs in a notebook may phone home.
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "PLOOMBER_STATS_ENABLED": "false",
    "PLOOMBER_VERSION_CHECK_DISABLED": "true",
}

# Ploomber and papermill log at length what the executed notebook shows anyway.
_QUIET = {"papermill": logging.ERROR, "ploomber": logging.CRITICAL}


def secrets(settings: Settings) -> list[str]:
    """Every text that must not be written anywhere, longest first."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            found.add(value.get_secret_value())
    if settings.mongo_uri:
        credentials = settings.mongo_uri.get_secret_value().partition("://")[2].rpartition("@")[0]
        password = credentials.partition(":")[2]
        if password:
            found |= {password, unquote(password), quote(unquote(password), safe="")}
    return sorted((secret for secret in found if len(secret) > 3), key=len, reverse=True)


@contextlib.contextmanager
def settings_environment(settings: Settings) -> Iterator[None]:
    """The settings as environment variables: what the notebooks read, in the run's kernel."""
    values = dict(NO_TELEMETRY)
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            values[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    with environment(values):
        yield


@contextlib.contextmanager
def log_to(path: Path, scrub: Callable[[str], str]) -> Iterator[None]:
    """Everything that is logged, and every warning, into the run's log."""

    class Log(logging.FileHandler):
        def handleError(self, record: logging.LogRecord) -> None:
            """On a full disk the run itself says what there is to say."""

        def close(self) -> None:
            with contextlib.suppress(OSError):
                super().close()

    class Formatter(logging.Formatter):
        converter = staticmethod(time.gmtime)

        def format(self, log: logging.LogRecord) -> str:
            return scrub(super().format(log))

    handler = Log(path, encoding="utf-8")
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ"))
    handler.addFilter(lambda log: log.levelno >= logging.WARNING or log.name.startswith("analytics"))
    levels = {name: logging.getLogger(name).level for name in (*_QUIET, "analytics")}
    for name, level in {**_QUIET, "analytics": logging.INFO}.items():
        logging.getLogger(name).setLevel(level)
    root = logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        handler.close()


def prepare_notebook() -> None:
    """What holds in every notebook: private files, no telemetry, the repository's root, charts as SVG."""
    os.umask(0o077)
    os.environ.update(NO_TELEMETRY)
    if Path.cwd().is_relative_to(PROJECT_ROOT / "notebooks"):
        os.chdir(PROJECT_ROOT)
    with without_url_grammar():
        import altair

    altair.renderers.enable("svg")
    altair.renderers.register("clean svg", _of_clean_texts(altair.renderers.get()))
    altair.renderers.enable("clean svg")
    altair.theme.register("roomy", enable=True)(_roomy)  # type: ignore[arg-type]  # its type wants every key
    altair.data_transformers.disable_max_rows()  # the limit is for data kept in a notebook; a drawing holds none


def _of_clean_texts(draw: Any) -> Callable[..., Any]:
    """A renderer of charts that is given no character that XML does not allow, wherever in the chart it stood: the one
    for SVG aborts the whole process."""

    def drawn(spec: dict[str, Any], **options: Any) -> Any:
        return draw(_clean_texts(spec), **options)

    return drawn


def _clean_texts(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list | tuple):
        return [_clean_texts(item) for item in value]
    return {_clean_texts(key): _clean_texts(item) for key, item in value.items()} if isinstance(value, dict) else value


def _roomy() -> dict[str, Any]:
    """Room around charts: a reader's font can be wider than the one an SVG was laid out with, and would be cut."""
    return {"config": {"padding": 32, "axis": {"labelLimit": 240}}}
