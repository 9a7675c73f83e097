"""What belongs to this process: its environment, its signals, and what its imports bring along."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from types import ModuleType


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


def rarely_look_for_cycles() -> None:
    """Have Python look for garbage in cycles less often: in what imports make there is none, and looking takes a sixth
    of a report's time, a quarter of what Great Expectations takes to import."""
    gc.set_threshold(100_000)


@contextlib.contextmanager
def without(*modules: str) -> Iterator[None]:
    """Imports in the block do not find these modules, which libraries look for and can do without."""

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name in modules:
                raise ModuleNotFoundError(name=name)

    sys.meta_path.insert(0, Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(Finder)


# the grammar of international URLs that jsonschema compiles: 0.8 s
without_url_grammar = partial(without, "rfc3987_syntax")


def import_late(package: str, module: str) -> None:
    """Let `from package import module` give a stand-in that imports the module when something of it is first used."""
    parent = importlib.import_module(package)
    late = ModuleType(f"{package}.{module}")

    def get(name: str) -> object:
        if vars(parent).get(module) is late:  # the module's own parts ask their package for it
            delattr(parent, module)
        return getattr(importlib.import_module(late.__name__), name)

    late.__getattr__ = get  # type: ignore[method-assign]  # PEP 562
    setattr(parent, module, late)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Within the block a SIGTERM (`kill`, a container that stops, a shutdown) ends work the way Ctrl-C does: it raises
    KeyboardInterrupt, servers stop, and what was done is recorded.

    Outside of the main thread, where Python handles no signals, it changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
