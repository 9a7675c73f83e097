"""What belongs to this process: its environment, and what its imports bring along."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """`values` as environment variables for the time of the block; what they were comes back after it."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def without_url_grammar() -> Iterator[None]:
    """Imports in the block go without the grammar of international URLs that jsonschema compiles (0.8 s)."""
    unneeded = "rfc3987_syntax"
    skip = unneeded not in sys.modules
    if skip:
        sys.modules[unneeded] = None  # type: ignore[assignment]  # an ImportError, which jsonschema expects
    try:
        yield
    finally:
        if skip:
            del sys.modules[unneeded]
