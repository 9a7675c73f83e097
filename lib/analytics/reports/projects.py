"""The projects, how they are written, and which of them are probably one."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from analytics.common.text import one_line
from analytics.reports import cells
from analytics.reports.report import Report, Row, fetch
from analytics.reports.selection import Selection

if TYPE_CHECKING:
    import duckdb

FIELDS = (
    "project_label",
    "project_group",
    "project_path",
    "project_id",
    "session_count",
    "cost_usd",
    "last_active_at",
    "activity_status",
)


def projects(connection: duckdb.DuckDBPyConnection, selection: Selection, zone: ZoneInfo) -> Report:
    """One row per project, the most recently active first, with aliases that may be missing as notes."""
    rows = fetch(
        connection,
        """
        select
            *
            exclude (last_active_at),
            cast(cast(last_active_at as date) as varchar) as last_active_at
        from dim_projects
        order by dim_projects.last_active_at desc nulls last, project_id
        """,
    )
    columns = [
        cells.text("project", "project_label", shrinks_to=24),
        cells.text("belongs to", "project_group", shrinks_to=24),
        cells.count("sessions", "session_count"),
        cells.cost(),
        cells.text("last active", "last_active_at", optional=1),
        cells.text("folder below projects/", "project_id", optional=2, shrinks_to=24),
    ]
    notes = []
    if proposed := proposals(rows):
        notes.append("note: these are probably one project; what is right goes into the CSV of PROJECT_ALIASES:")
        notes.append("  path,project")
        notes += [f"  {path},{project}" for path, project in proposed]
    return Report("projects", FIELDS, rows, None, columns, notes)


def proposals(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """(path, project) of projects that were probably moved: the same git remote, or the same last part of the path.

    A folder that is no longer there goes to one that is, else to the one that was last active.
    """
    paths: dict[str, Row] = {}
    for row in rows:
        # of one group everything is joined already; its own folder stands for it
        group = row["project_group"]
        if group and ("/" in group or "\\" in group) and one_line(group) == group and "," not in group:
            known = paths.setdefault(group, row)
            if (row["last_active_at"] or "") > (known["last_active_at"] or ""):
                paths[group] = row
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        alike["name:" + path.replace("\\", "/").rstrip("/").split("/")[-1].lower()].append(path)
        if remote := _remote(path):
            alike["remote:" + remote].append(path)
    found: dict[str, str] = {}
    for kind, same in sorted(alike.items(), reverse=True):  # remotes first: they are sure
        here = [path for path in same if Path(path).is_dir()]
        if len(same) < 2 or (kind.startswith("name:") and len(here) > 1):
            continue  # two folders of one name that are both there are two projects
        target = max(here or same, key=lambda path: (paths[path]["last_active_at"] or "", path))
        for path in same:
            if path != target and path not in found and found.get(target) != path:
                found[path] = target
    return sorted(found.items())


def _remote(path: str) -> str | None:
    """The address git fetches from, without what differs between ways of access; None where there is none."""
    config = Path(path, ".git", "config")
    try:
        text = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else ""
    except OSError:
        return None
    section = re.search(r'^\[remote "origin"\]\n((?:\s+.*\n?)*)', text, re.MULTILINE)
    found = re.search(r"^\s*url\s*=\s*(\S+)", section.group(1), re.MULTILINE) if section else None
    if not found:
        return None
    address = found.group(1).removesuffix("/").removesuffix(".git").lower()
    return address.split("://")[-1].split("@")[-1].replace(":", "/")
