"""The templates: every value is escaped, and a name that nobody gave is an error."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from analytics.common import formats


def environment() -> Environment:
    """Jinja2 as the pages use it."""
    made = Environment(
        loader=PackageLoader("analytics.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["whole"] = formats.whole
    return made
