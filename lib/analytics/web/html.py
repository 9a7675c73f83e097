"""The dashboards as one HTML file that needs no server and no network.

The file carries the charting library (Vega, Vega-Lite and Vega-Embed, from vl-convert-python), the sources of all
cards as packed columns, and the cards' SQL as a plan for `engine.js`, so that filters work in the page and show
what the same SQL shows in Metabase. A content security policy forbids every connection and every script but ours,
named by hash. The library's expressions are interpreted (`ast`), so 'unsafe-eval' is not needed.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.cards.definitions import definition
from analytics.cards.model import Card, Dashboard, load_dashboards
from analytics.cards.query import Plan, plan
from analytics.common.clock import utc_now
from analytics.common.files import partial_file
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.runs import history as runs
from analytics.settings import Settings
from analytics.warehouse.marts import connect

REPORT_FILE = "dashboards/index.html"
RANGES = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "365": "Last 365 days",
    "month": "Month to date",
    "previous": "Month before",
    "year": "Year to date",
    "all": "All time",
    "custom": "From – to",
}
# The page opens on the last 30 days if that shows something, else on everything.
_MIN_ACTIVE_DAYS = 8
_RUNS = 15
_ZIP_FROM_BYTES = 400
_FOLDER = Path(__file__).parent / "page"


def render(settings: Settings, *, folder: Path | None = None, target: Path | None = None) -> Path:
    """Write the report from the published database; an older report is replaced whole.

    Args:
        folder: the dashboards' definition; default: the repository's.
        target: the file to write; default: DATA_DIR/dashboards/index.html.

    Returns:
        The file, mode 0600.

    Raises:
        AnalyticsError: nothing is published, or the published marts lack a table or column that a card reads.
        ConfigError: the definition is wrong.
    """
    dashboards = load_dashboards(folder)
    target = target or settings.data_dir / REPORT_FILE
    with connect(settings) as connection:
        text = _document(dashboards, _data(connection, dashboards, settings), settings)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with partial_file(target) as path:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    return target


# Data


@dataclass
class _Data:
    """What goes into the page: `manifest` describes, `columns` holds packed values by id."""

    manifest: dict[str, Any]
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)


def _data(connection: duckdb.DuckDBPyConnection, dashboards: tuple[Dashboard, ...], settings: Settings) -> _Data:
    first, last = connection.execute("select min(date_key), max(date_key) from dim_date").fetchone()
    active_days = connection.execute(
        "select count(*) from agg_daily_summary where has_activity and date_key > ?::date - 30", [last]
    ).fetchone()[0]
    newest = connection.execute(
        "select check_value from agg_data_quality where check_name = 'newest_entry_at'"
    ).fetchone()
    projects = connection.execute(
        "select project_path, min(project_name), list(project_id order by project_id) from dim_projects "
        "where project_path is not null group by project_path order by lower(min(project_name)), project_path"
    ).fetchall()
    data = _Data(
        {
            "timeZone": settings.analytics_tz,
            "madeAt": int(utc_now().timestamp() * 1000),
            "newestEntry": int(newest[0] * 1000) if newest and newest[0] is not None else None,
            "firstDay": _day(first),
            "lastDay": _day(last),
            "range": "30" if active_days >= _MIN_ACTIVE_DAYS else "all",
            "projects": [{"path": path, "name": name, "ids": ids} for path, name, ids in projects],
            "models": [
                row[0] for row in connection.execute("select distinct model from dim_models order by 1").fetchall()
            ],
            "dashboards": [{"key": board.key, "filters": list(board.filters)} for board in dashboards],
            "cards": {},
            "sources": {},
            "definitions": {},
        }
    )
    source_ids: dict[str, str] = {}
    for card in _cards(dashboards):
        steps = plan(card)
        data.manifest["cards"][card.key] = _card(card, steps, source_ids)
        for source in steps.sources:
            identity = _source_key(source.sql, source.filters)
            key = source_ids[identity]
            if key not in data.manifest["sources"]:
                try:
                    table = connection.execute(source.sql).to_arrow_table()
                except duckdb.Error as error:
                    raise AnalyticsError(
                        f"{card.source}: {source.name} fails on the published marts: {first_line(error)}"
                    ) from None
                missing = set(source.filters.values()) - set(table.column_names)
                if missing:
                    raise ConfigError(f"{card.source}: {source.name} is filtered by {missing} but does not put it out")
                data.manifest["sources"][key] = {
                    "n": table.num_rows,
                    "filters": source.filters,
                    "columns": {name: _keep(data, table[name]) for name in table.column_names},
                }
        data.manifest["definitions"].setdefault(card.definition, len(data.manifest["definitions"]))
    return data


def _cards(dashboards: Iterable[Dashboard]) -> list[Card]:
    """Every card once, also when it stands on several dashboards."""
    return list({card.key: card for board in dashboards for card in board.cards}.values())


def _source_key(sql: str, filters: dict[str, str]) -> str:
    return json.dumps([sql, filters], sort_keys=True)


def _card(card: Card, steps: Plan, source_ids: dict[str, str]) -> dict[str, Any]:
    sources = {}
    for source in steps.sources:
        identity = _source_key(source.sql, source.filters)
        sources[source.name] = source_ids.setdefault(identity, f"s{len(source_ids)}")
    return {
        "key": card.key,
        "title": card.title,
        "description": card.description,
        "display": card.display,
        "definition": card.definition,
        "source": card.source,
        "sql": card.sql,
        "place": [card.place.row, card.place.col, card.place.width, card.place.height],
        "view": card.view,
        "columns": [{"name": item.name, "title": item.title, "format": item.format} for item in card.columns],
        "filters": list(card.tags),
        "sources": sources,
        "steps": steps.steps,
    }


def _day(value: Any) -> int | None:
    return None if value is None else (value - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def _keep(data: _Data, column: pa.ChunkedArray) -> str:
    """Pack the column unless the same is packed already; returns its id."""
    packed = pack(column)
    digest = hashlib.sha256(json.dumps(packed, sort_keys=True).encode()).hexdigest()[:12]
    data.columns.setdefault(digest, packed)
    return digest


def pack(column: pa.ChunkedArray) -> dict[str, Any]:
    """A column for the page: little-endian numbers in base64 in the smallest type that holds them, gzipped when long.

    Texts are numbers into `values`; days count from 1970-01-01, instants are milliseconds; `mask` says that one byte
    per row follows the numbers, 1 where the value is missing.
    """
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], column.type)
    extra: dict[str, Any] = {}
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        encoded = array.dictionary_encode()
        words = [None, *encoded.dictionary.to_pylist()]
        numbers = np.asarray(encoded.indices.fill_null(-1), dtype=np.int64) + 1
        text = json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()
        extra["values"] = words if len(text) < _ZIP_FROM_BYTES else _base64(gzip.compress(text, 6, mtime=0))
        missing = np.zeros(len(array), dtype=bool)
        unsigned = True
    else:
        missing = np.asarray(array.is_null())
        unsigned = False
        if pa.types.is_boolean(kind):
            extra["bool"] = True
            numbers = np.asarray(array.fill_null(False).cast(pa.int8()))
        elif pa.types.is_date(kind):
            numbers = np.asarray(array.cast(pa.int32()).fill_null(0))
        elif pa.types.is_timestamp(kind):
            numbers = np.asarray(pc.divide(array.cast(pa.int64()).cast(pa.float64()).fill_null(0), _per_ms(kind.unit)))
        elif pa.types.is_integer(kind):
            numbers = np.asarray(array.fill_null(0))
        elif pa.types.is_null(kind):
            numbers = np.zeros(len(array), dtype=np.int8)
        else:
            numbers = np.asarray(array.cast(pa.float64(), safe=False).fill_null(0))
            if len(numbers) and np.all(numbers == np.rint(numbers)) and np.all(np.abs(numbers) < 2**31):
                numbers = numbers.astype(np.int64)  # sums of counts are 128-bit integers, which Arrow knows as decimals
    name, numbers = _smallest(numbers, unsigned)
    raw = numbers.tobytes()
    if missing.any():
        extra["mask"] = True
        raw += missing.astype(np.uint8).tobytes()
    if len(raw) >= _ZIP_FROM_BYTES:
        extra["zip"] = True
        raw = gzip.compress(raw, 6, mtime=0)
    return {"type": name, "n": len(array), "data": _base64(raw), **extra}


def _smallest(numbers: np.ndarray, unsigned: bool) -> tuple[str, np.ndarray]:
    if numbers.dtype.kind == "f":
        return "f8", numbers.astype("<f8")
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    for size in (1, 2, 4):
        limit = np.iinfo(f"{'u' if unsigned else 'i'}{size}")
        if limit.min <= low and high <= limit.max:
            name = f"{'u' if unsigned else 'i'}{size}"
            return name, numbers.astype(f"<{name}")
    return "f8", numbers.astype("<f8")


def _per_ms(unit: str) -> float:
    return {"s": 0.001, "ms": 1, "us": 1_000, "ns": 1_000_000}[unit]


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# The document


def _document(dashboards: tuple[Dashboard, ...], data: _Data, settings: Settings) -> str:
    import vl_convert

    library = vl_convert.javascript_bundle()
    page = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("engine.js", "page.js"))
    scripts = [_script_safe(script) for script in (library, page)]
    policy = (
        "default-src 'none'; connect-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        f"form-action 'none'; script-src {' '.join(_csp_hash(script) for script in scripts)}"
    )
    return (
        (_FOLDER / "index.html")
        .read_text(encoding="utf-8")
        .format(
            policy=html.escape(policy, quote=True),
            style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
            ranges="".join(f'<option value="{key}">{label}</option>' for key, label in RANGES.items()),
            tabs="".join(_tab(board) for board in dashboards),
            panels="".join(_panel(board, settings) for board in dashboards),
            definitions="".join(
                f'<template id="definition-{number}">{_markdown(definition(name))}</template>'
                for name, number in data.manifest["definitions"].items()
            ),
            manifest=_json(data.manifest),
            columns=_json(data.columns),
            library=scripts[0],
            page=scripts[1],
        )
    )


def _json(value: Any) -> str:
    """JSON that cannot end its <script>: `<` stands in strings only and is written as an escape."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _script_safe(script: str) -> str:
    return re.sub(r"</(script)", r"<\\/\1", script, flags=re.IGNORECASE).replace("<!--", "<\\!--")


def _csp_hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _tab(board: Dashboard) -> str:
    return (
        f'<button role="tab" id="tab-{board.key}" data-tab="{board.key}" aria-controls="panel-{board.key}" '
        f'aria-selected="false" tabindex="-1">{html.escape(board.title)}</button>'
    )


def _panel(board: Dashboard, settings: Settings) -> str:
    bands: dict[int, list[str]] = {}
    for card in board.cards:
        bands.setdefault(card.place.row, []).append(_article(card))
    extra = _runs_article(settings) if board.key == "quality" else ""
    return (
        f'<section role="tabpanel" id="panel-{board.key}" aria-labelledby="tab-{board.key}" hidden>'
        f'<div class="intro"><h2>{html.escape(board.title)}</h2><p>{html.escape(board.description)}</p></div>'
        + "".join(f'<div class="band">{"".join(cards)}</div>' for _, cards in sorted(bands.items()))
        + extra
        + "</section>"
    )


def _article(card: Card) -> str:
    kind = "strip" if card.view.get("strip") else "scalar" if card.display == "smartscalar" else "plain"
    chart = card.display in ("bar", "line", "area", "row") or "heat" in card.view
    # beside a short number's title there is no room for it
    scope = '<span class="scope"></span>'
    above, below = ("", scope) if kind == "scalar" else (scope, "")
    toggle = '<button type="button" class="as-table" aria-pressed="false">Table</button>' if chart else ""
    return (
        f'<article class="{kind}" data-card="{card.key}" style="--col:{card.place.col + 1};--span:{card.place.width}" '
        f'title="{html.escape(card.description, quote=True) if kind == "scalar" else ""}">'
        f"<header><h3>{html.escape(card.title)}</h3>{above}"
        f'<span class="tools">{toggle}<button type="button" class="how" '
        f'aria-label="How {html.escape(card.title, quote=True)} is counted">How?</button></span></header>'
        f'<p class="about">{html.escape(card.description)}</p><div class="body"></div>{below}</article>'
    )


def _runs_article(settings: Settings) -> str:
    """The newest runs, from their own records: Metabase, which reads marts only, does not have this card."""
    rows = []
    for run in runs.history(settings, _RUNS):
        published = run.published_version or ""
        reason = "" if run.error is None else f"{run.error.get('stage', '')}: {run.error.get('message', '')}"
        seconds = "" if run.duration_seconds is None else f"{run.duration_seconds:.0f} s"
        level = "warn" if run.outcome in ("failed", "interrupted") else ""
        badge = f'<span class="badge {level}">{html.escape(run.outcome.replace("_", " "))}</span>'
        cells = [html.escape(run.started_at[:16].replace("T", " ")), html.escape(run.deployment), badge]
        cells += [html.escape(seconds), html.escape(published), html.escape(reason)]
        *short, why = cells
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in short) + f'<td class="wrap">{why}</td></tr>')
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("Started (UTC)", "Run", "Outcome", "Took", "Published", "Error")
    )
    body = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Last runs"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        if rows
        else '<p class="empty">No runs of the whole pipeline yet</p>'
    )
    return (
        '<div class="band"><article class="plain" id="last-runs" style="--col:1;--span:24">'
        "<header><h3>Last runs</h3></header>"
        '<p class="about">What the schedule did, newest first. A failed run publishes nothing: the numbers stay the '
        "ones before it. <code>claude-analytics status</code> says more, docs/runbook.md what to do.</p>"
        f'<div class="body">{body}</div></article></div>'
    )


# Definitions


def _markdown(text: str) -> str:
    """The little Markdown that the counting contract uses: paragraphs, emphasis, code."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", text):
        escaped = html.escape(block.strip())
        escaped = re.sub(r"\n(?=\*|`)", "<br>", escaped)
        escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
        escaped = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", escaped)
        escaped = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", escaped)
        paragraphs.append(f"<p>{escaped}</p>")
    return "".join(paragraphs)
