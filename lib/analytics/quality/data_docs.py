"""The data docs as pages that need nothing from the network.

Great Expectations' pages load scripts, style sheets and a logo from elsewhere each time they are opened, the logo
with an id of the installation, and write values of the data into the page as if they were HTML. Both is mended here,
and the index, which its scripts would fill, is written anew: what the last run found, the rows that failed, and links
to the pages of each layer and run.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from markupsafe import Markup

from analytics.common.clock import utc_now
from analytics.common.page import meta, page, policy
from analytics.quality.result import Check, ValidationResult

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
    index = folder / "index.html"
    index.write_text(_index(folder, result, (plugins / STYLES).read_text(encoding="utf-8")), encoding="utf-8")
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


def _index(folder: Path, result: ValidationResult, styles: str) -> str:
    failed = result.failed
    verdict = (
        '<p class="good">✓ Every critical expectation holds.</p>'
        if not failed
        else f'<p class="bad">✗ Critical expectations failed: {len(failed)}. Nothing is published.</p>'
    )
    notes = "".join(f'<p class="warn">! {escape(note)}</p>' for note in result.notes)
    broken = [check for check in result.checks if not check.success]
    details = "".join(_failure(check) for check in broken)
    rows = "".join(_row(check) for check in result.checks)
    body = f"""<main>
<h1>Data quality</h1>
<p>{escape(str(result))}<br>{escape(str(result.database))}, {utc_now():%Y-%m-%d %H:%M:%S} UTC</p>
{verdict}{notes}{details}
<h4>All expectations</h4>
<div class="scroll"><table>
<tr><th></th><th>Layer</th><th>What is expected</th><th>Expectation</th><th>If it fails</th><th>Failing rows</th></tr>
{rows}
</table></div>
<h4>Runs</h4>
{_runs(folder)}
</main>"""
    return page("Data quality", body=Markup(body), style=styles)


def _sign(check: Check) -> str:
    if check.success:
        return '<span class="good">✓</span>'
    return '<span class="bad">✗</span>' if check.severity == "critical" else '<span class="warn">!</span>'


def _row(check: Check) -> str:
    consequence = "the run stops" if check.severity == "critical" else "a warning"
    return (
        f"<tr><td>{_sign(check)}</td>"
        f'<td class="whole"><a href="expectations/{escape(check.layer)}.html">{escape(check.layer)}</a></td>'
        f"<td>{escape(check.description)}</td>"
        f'<td class="whole"><code>{escape(check.expectation)}</code></td>'
        f'<td class="whole">{consequence}</td><td class="number">{check.failing_rows:,}</td></tr>'
    )


def _failure(check: Check) -> str:
    """A failed expectation with its first failing rows."""
    columns = list(dict.fromkeys(column for row in check.examples for column in row))
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(row.get(column)))}</td>" for column in columns) + "</tr>"
        for row in check.examples
    )
    table = f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>' if check.examples else ""
    return f"<h4>{_sign(check)} {escape(str(check))}</h4><p>{escape(check.description)}</p>{table}"


def _shown(value: object) -> str:
    return "null" if value is None else str(value)


def _runs(folder: Path) -> str:
    """Links to Great Expectations' page of each layer, newest run first."""
    runs: dict[str, list[str]] = {}
    for path in sorted(folder.glob("validations/*/*/*/*.html")):
        layer, run = path.relative_to(folder / "validations").parts[:2]
        runs.setdefault(run, []).append(f'<a href="{escape(path.relative_to(folder).as_posix())}">{escape(layer)}</a>')
    rows = "".join(
        f"<tr><td>{escape(run)}</td><td>{', '.join(runs[run])}</td></tr>" for run in sorted(runs, reverse=True)
    )
    return f"<table><tr><th>Run</th><th>Pages</th></tr>{rows}</table>"
