"""The CSV files that settings name: written by a person, so comments and blank lines are fine."""

from __future__ import annotations

import csv
from pathlib import Path

from analytics.errors import ConfigError


def read_rows(variable: str, path: Path) -> list[tuple[int, list[str]]]:
    """The number and the values of each line, the header's first; without blank lines and those that start with #.

    Args:
        variable: the setting that names `path`, for the message.

    Raises:
        ConfigError: the file cannot be read, or is not UTF-8 text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{variable}={path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{variable}={path}: not UTF-8 text") from None
    return [
        (number, next(csv.reader([line])))
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
