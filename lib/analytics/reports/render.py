"""A report as text, JSON or CSV. The README documents the last two: others build on them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from analytics.common.text import folded, for_csv, for_json, one_line
from analytics.reports.report import Report
from analytics.reports.selection import Selection
from analytics.reports.table import draw, style_of


def as_text(
    report: Report,
    selection: Selection,
    zone: ZoneInfo,
    *,
    width: int | None = None,
    terminal: bool | None = None,
    plain: bool = False,
) -> str:
    """A table with its totals and notes, or one line when nothing is selected.

    Args:
        width: columns to fit into; default: the terminal's, or 80 in a pipe (COLUMNS changes both).
        terminal: emphasis and lines for a terminal; default: whether standard output is one.
        plain: without bold: NO_COLOR is set.
    """
    chosen = str(selection)
    if not report.rows:
        days = report.days
        there = f"; there are data from {days[0]} to {days[1]}" if days else "; the published history is empty"
        return f"nothing to report{f': {chosen}' if chosen else ''}{there}"
    style = style_of(terminal, plain)
    columns = shutil.get_terminal_size().columns if width is None else width
    age = f"as of {report.as_of.astimezone(zone):%Y-%m-%d %H:%M}, " if report.as_of else ""
    heading = f"{report.name}{f', {chosen}' if chosen else ''} ({age}days and times: {zone.key})"
    table = draw(report.columns, report.rows, report.totals, columns, style)
    notes = "\n".join(map(one_line, report.notes))
    if style:  # a pipe gets one line for each
        heading, notes = folded(heading, columns), folded(notes, columns)
    return "\n\n".join(filter(None, [heading, table, notes]))


def as_json(report: Report, selection: Selection, zone: ZoneInfo) -> str:
    """One object: what was asked for, rows, totals, notes."""
    document = {
        "report": report.name,
        "as_of": report.as_of,
        "timezone": zone.key,
        "since": selection.since,
        "until": selection.until,
        "project_ids": selection.projects,
        "machines": selection.machines,
        "rows": [{name: row[name] for name in report.fields} for row in report.rows],
        "totals": report.totals,
        **report.more,
        "notes": report.notes,
    }
    return for_json(json.dumps(document, default=jsonable, ensure_ascii=False, indent=2))


def as_csv(report: Report) -> str:
    """A header and the rows; lists are separated by semicolons, unknown values are empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(report.fields)
    writer.writerows([_csv_cell(row[name]) for name in report.fields] for row in report.rows)
    return out.getvalue()


def jsonable(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Decimal):
        # The shortest digits that make this number are its nine decimals, up to a million.
        return float(value)
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _csv_cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, list):
        return for_csv(";".join(value))
    return for_csv(value) if isinstance(value, str) else value


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03d}Z"
