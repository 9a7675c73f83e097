"""The data docs as pages that need nothing from the network.

Great Expectations' pages load scripts, style sheets and a logo from elsewhere each time they are opened, the logo
with an id of the installation, and write values of the data into the page as if they were HTML. Both is mended here,
and the index, which its scripts would fill, is written anew: what the last run found, the rows that failed, and links
to the pages of each layer and run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from analytics.common.clock import utc_now
from analytics.common.page import meta, page, policy
from analytics.quality.result import ValidationResult

STYLES = "custom_data_docs/styles/data_docs_custom_styles.css"

_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_REMOTE = re.compile(r"""<link\b[^>]*>|<img\b[^>]*\bsrc\s*=\s*["']https?:[^>]*>""")
_NEWSLETTER = re.compile(r"<footer\b.*?</footer>", re.DOTALL)
_ICON = re.compile(r"""<i class="fas fa-(check|times|exclamation)[^"]*\b(text-\w+)[^"]*"[^>]*></i>""")
# Buttons that only scripts give a meaning.
_ACTIONS = re.compile(
    r"""<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions</strong>"""
    r""".*?</label>\s*(?:</div>\s*){5}""",
    re.DOTALL,
)
_SIGNS = {"check": "✓", "times": "✗", "exclamation": "!"}


_ESCAPES = "escapes_texts"


def escape_texts() -> None:
    """Make Great Expectations write texts as texts, from now on: its templates take every string for HTML.

    All content passes `render_content_block`, blocks of it as dictionaries, what they have become as `Markup`.
    """
    from great_expectations.render.view.view import DefaultJinjaView
    from jinja2 import pass_context
    from markupsafe import Markup
    from markupsafe import escape as escaped

    render = DefaultJinjaView.render_content_block
    if getattr(render, _ESCAPES, False):
        return

    @pass_context
    def render_content_block(view: Any, context: Any, block: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(block, str):
            return escaped(block)
        if isinstance(block, list):
            block = [escaped(item) if isinstance(item, str) else item for item in block]
        rendered = render(view, context, block, *arguments, **options)
        return Markup(rendered) if isinstance(rendered, str) else rendered

    setattr(render_content_block, _ESCAPES, True)
    DefaultJinjaView.render_content_block = render_content_block


def finish(folder: Path, result: ValidationResult, plugins: Path) -> Path:
    """Make every page below `folder` self-contained and write its index; returns the index."""
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if "https://" in text:
            path.write_text(_under_policy(_without_remote(text)), encoding="utf-8")
    text = page(
        *("Data quality", "quality", "index.html"),
        style=(plugins / STYLES).read_text(encoding="utf-8"),
        result=result,
        columns=lambda check: dict.fromkeys(column for row in check.examples for column in row),
        runs=_runs(folder),
        now=f"{utc_now():%Y-%m-%d %H:%M:%S}",
    )
    index = folder / "index.html"
    index.write_text(text, encoding="utf-8")
    return index


def _without_remote(text: str) -> str:
    text = _SCRIPT.sub("", text)
    text = _ACTIONS.sub("", text)
    text = _NEWSLETTER.sub("", text)
    text = _REMOTE.sub("", text)
    return _ICON.sub(lambda m: f'<span class="{m[2]}">{_SIGNS[m[1]]}</span>', text)


def _under_policy(text: str) -> str:
    """The page with nothing allowed but its own style sheets, its style attributes and its pictures."""
    head, _, body = text.partition("</head>")
    styles = tuple(re.findall(r"<style\b[^>]*>(.*?)</style>", head, re.DOTALL))
    held = policy(styles=styles, images="data:", more="style-src-attr 'unsafe-inline'")
    return f"{head.replace('<head>', f'<head>{meta(held)}', 1)}</head>{body}"


def _runs(folder: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Great Expectations' page of each layer and its path, by run, the newest first."""
    runs: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(folder.glob("validations/*/*/*/*.html")):
        layer, run = path.relative_to(folder / "validations").parts[:2]
        runs.setdefault(run, []).append((layer, path.relative_to(folder).as_posix()))
    return sorted(runs.items(), reverse=True)
