"""What a run's code works in: the settings as environment variables, a log, and no secrets in anything written."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from pydantic import SecretStr

from analytics.common.process import environment
from analytics.runs.notebook import NO_TELEMETRY
from analytics.settings import Settings

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
