"""HTML pages that hold somebody else's text: what they may load and run is said in the page and held by the browser."""

from __future__ import annotations

import base64
import hashlib
import html


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


def page(title: str, body: str, *, style: str = "") -> str:
    """A page without scripts.

    Args:
        title: text.
        body: HTML; texts in it are escaped.
        style: its style sheet.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{meta(policy(styles=(style,), images='data:'))}"
        f"<title>{html.escape(title)}</title><style>{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
