"""HTML pages that hold somebody else's text: what they may load and run is said in the page and held by the browser."""

from __future__ import annotations

import base64
import hashlib
import html
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analytics.common import formats


def policy(*, styles: tuple[str, ...] = (), scripts: tuple[str, ...] = (), images: str = "", more: str = "") -> str:
    """A content security policy: nothing, but the inline `styles` and `scripts` given, letter by letter.

    Args:
        images: where images may come from, such as `data:`.
        more: further directives.
    """
    parts = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    for directive, texts in (("style-src", styles), ("script-src", scripts)):
        if texts:
            parts.append(f"{directive} {' '.join(_hash(text) for text in texts)}")
    if images:
        parts.append(f"img-src {images}")
    if more:
        parts.append(more)
    return "; ".join(parts)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def meta(content: str) -> str:
    """The element that puts a page under a policy. It must stand before everything it is to hold."""
    return f'<meta http-equiv="Content-Security-Policy" content="{html.escape(content, quote=False)}">'


def page(title: str, room: str, template: str, *, style: str, **context: Any) -> str:
    """A page without scripts, under a policy that loads nothing.

    Args:
        room, template: where its template is, which extends `bare.html`.
        style: its style sheet.
        context: what the template shows; texts are escaped.
    """
    held = Markup(meta(policy(styles=(style,), images="data:")))
    made = environment(f"analytics.{room}").get_template(template)
    return made.render(title=title, style=Markup(style), policy=held, **context)


def environment(package: str) -> Environment:
    """Jinja2 for a package's templates: every value is escaped, and a name that nobody gave is an error."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "analytics.common"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["whole"] = formats.whole
    return made
