"""`claude-analytics report`: every number of every report, and what a user gets for a wrong or an empty choice.

Without these a filter could be ignored in silence, a total could differ from its rows or from the marts, a cost nobody
knows could look like no cost, and what others parse could change its form.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import raw_tables
from analytics.cli import cli
from analytics.common.text import display_width
from analytics.errors import AnalyticsError, ConfigError
from analytics.raw.extract import extract
from analytics.reports.blocks import blocks
from analytics.reports.render import as_text
from analytics.reports.selection import Selection
from analytics.settings import Settings, load_settings
from analytics.sources.batch import BATCH_SCHEMA
from analytics.warehouse import marts
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform
from click.testing import CliRunner
from dashboard_data import HOSTILE, published, tiny_history
from transcript_generator import Counts, Truth, generate
from transcript_generator.truth import TOKEN_KINDS

ZONE = "Europe/Berlin"
# Prices change on October 7th, clocks in Berlin on the 25th; at the end a block is in progress.
END = datetime(2026, 10, 27, 12, tzinfo=UTC)
REPORTS = ("daily", "weekly", "monthly", "session", "project", "model", "tool", "blocks", "waste")
# These count every selected response exactly once.
USAGE = ("daily", "weekly", "monthly", "session", "project", "model")
TOKENS = [f"{kind}_tokens" for kind in TOKEN_KINDS]
RESPONSES = ["response_count", *TOKENS, "cost_usd", "unpriced_response_count", "lower_bound_response_count"]
ACTIVITY = [
    *("prompt_count", "queued_prompt_count", "tool_call_count", "tool_error_count"),
    *("commits", "pull_requests", "lines_added", "lines_removed"),
]
MEASURES = [*ACTIVITY, *RESPONSES]
# What is not the sum of its rows: a session stands in several of them.
NOT_SUMMED = {"session_count", "cache_hit_rate", "success_rate", "error_rate", "rejection_rate", "retry_rate"}


@dataclass
class History:
    """A published database, and what is in it by construction, for each machine apart."""

    settings: Settings
    truths: dict[str, Truth]

    def run(self, *arguments: str, **env: str) -> str:
        """What the command prints."""
        names = {"DATA_DIR": str(self.settings.data_dir), "ANALYTICS_TZ": self.settings.analytics_tz}
        unset = dict.fromkeys(("DUCKDB_PATH", "COLUMNS"))
        done = CliRunner().invoke(cli, ["report", *arguments], env={**unset, **names, **env}, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        """What `--json` prints, numbers as exact as they are written."""
        return json.loads(self.run(*arguments, "--json"), parse_float=Decimal)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the marts."""
        with marts.reading(self.settings) as connection:
            result = connection.execute(sql)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Two machines in one store."""
    root = tmp_path_factory.mktemp("report")
    truths = {}
    for seed, machine in ((24, "laptop"), (8, "desktop")):
        truths[machine] = generate(
            root / machine, seed=seed, entries=2_500, days=25, end=END, timezone=ZONE, hostile=machine == "laptop"
        )
        settings = load_settings(
            source="jsonl",
            data_dir=root / "data",
            claude_projects_dir=root / machine,
            machine_name=machine,
            analytics_tz=ZONE,
        )
        extract(settings)
    load(settings)
    transform(settings, as_of=END)
    publish(settings)
    return History(settings, truths)


@pytest.fixture(scope="module")
def samples(samples_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Real transcripts."""
    batch = raw_tables.transcripts(samples_dir / "projects")
    return History(published(tmp_path_factory.mktemp("samples"), batch), {})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A model without a price, and texts that try to leave their place."""
    return History(published(tmp_path_factory.mktemp("tiny"), tiny_history()), {})


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Published without a transcript."""
    none = pa.Table.from_pylist([], schema=BATCH_SCHEMA)
    return History(published(tmp_path_factory.mktemp("empty"), none), {})


def added(parts: Iterable[Counts]) -> dict[str, Any]:
    """The measures of all of them together."""
    whole = Counts()
    for part in parts:
        whole.add(part)
    return {name: getattr(whole, name) for name in MEASURES} | {"cost_usd": cost_of(whole)}


def cost_of(facts: Counts) -> Decimal | None:
    """Null where there are responses and none has a price."""
    return None if 0 < facts.response_count == facts.unpriced_response_count else facts.cost_usd


def measures(row: dict[str, Any]) -> dict[str, Any]:
    """The measures of a row."""
    return {name: row[name] for name in MEASURES}


def by_period(history: History, period: Callable[[date], str]) -> dict[str, dict[str, Any]]:
    """The truth of days, added up by what `period` calls them."""
    days = defaultdict(list)
    for truth in history.truths.values():
        for day, facts in truth.days.items():
            if facts.message_count + facts.tool_call_count:
                days[period(date.fromisoformat(day))].append(facts)
    return {name: added(facts) for name, facts in days.items()}


def iso_week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


@pytest.mark.parametrize(
    ("report", "label", "period"),
    [("daily", "date", str), ("weekly", "week", iso_week), ("monthly", "month", lambda day: f"{day:%Y-%m}")],
)
def test_periods_equal_the_truth(history: History, report: str, label: str, period: Callable[[date], str]) -> None:
    found = history.json(report)
    assert {row[label]: measures(row) for row in found["rows"]} == by_period(history, period)
    assert [row[label] for row in found["rows"]] == sorted(row[label] for row in found["rows"])
    assert measures(found["totals"]) == added(day for truth in history.truths.values() for day in truth.days.values())


def test_days_equal_their_mart(history: History) -> None:
    columns = ["session_count", *MEASURES]
    days = history.query(
        f"select cast(date_key as varchar) as date, {', '.join(columns)} from agg_daily_summary"
        " where has_activity order by date_key"
    )
    rows = history.json("daily")["rows"]
    assert [{name: row[name] for name in ("date", *columns)} for row in rows] == days


def test_weeks_begin_on_monday(history: History) -> None:
    for row in history.json("weekly")["rows"]:
        assert date.fromisoformat(row["first_day"]).isoweekday() == 1
        assert iso_week(date.fromisoformat(row["first_day"])) == row["week"]


def test_sessions_equal_the_truth(history: History) -> None:
    found = history.json("session")
    truths = {key: session for truth in history.truths.values() for key, session in truth.sessions.items()}
    assert {row["session_id"]: measures(row) for row in found["rows"]} == {
        key: added([session]) for key, session in truths.items()
    }
    for row in found["rows"]:
        session = truths[row["session_id"]]
        assert (row["title"], row["project_id"]) == (session.title, session.project_id)
        assert row["models"] == sorted(session.models)
        assert row["session_id"] in history.truths[row["machine"]].sessions
        assert row["active_seconds"] == session.active_seconds
    starts = [row["started_at"] or "" for row in found["rows"]]
    assert starts == sorted(starts)
    assert found["totals"]["session_count"] == len(truths)


def test_projects_equal_the_truth_and_their_mart(history: History) -> None:
    found = history.json("project")
    parts = defaultdict(list)
    for truth in history.truths.values():
        for project_id, project in truth.projects.items():
            parts[project_id].append(project)
    assert {row["project_id"]: measures(row) for row in found["rows"]} == {
        project_id: added(facts) for project_id, facts in parts.items()
    }
    mart = history.query("select project_id, session_count, project_path, project_group from dim_projects")
    by_id = {row["project_id"]: row for row in found["rows"]}
    assert [{name: by_id[row["project_id"]][name] for name in row} for row in mart] == mart
    costs = [row["cost_usd"] for row in found["rows"] if row["cost_usd"] is not None]
    assert costs == sorted(costs, reverse=True)
    # one name for one project
    assert len({row["project"] for row in found["rows"]}) == len(found["rows"])


def test_models_equal_the_truth(history: History) -> None:
    found = history.json("model")
    parts = defaultdict(list)
    for truth in history.truths.values():
        for name, facts in truth.models.items():
            parts[name].append(facts)
    expected = {
        name: {key: value for key, value in added(facts).items() if key in RESPONSES} for name, facts in parts.items()
    }
    assert {row["model"]: {key: row[key] for key in RESPONSES} for row in found["rows"]} == expected
    unpriced = {name for name, facts in expected.items() if facts["cost_usd"] is None}
    assert unpriced
    assert [row["model"] for row in found["rows"]][-len(unpriced) :] == sorted(
        unpriced, key=lambda name: (-expected[name]["response_count"], name)
    )


def test_tools_equal_the_truth_and_their_mart(history: History) -> None:
    found = history.json("tool")
    calls: Counter[str] = Counter()
    for truth in history.truths.values():
        calls.update(truth.tools)
    assert {row["tool_name"]: row["call_count"] for row in found["rows"]} == calls
    columns = [
        *("tool_name", "call_count", "success_count", "error_count", "rejected_count", "interrupted_count"),
        *("pending_count", "session_count", "p50_duration_ms", "p95_duration_ms"),
    ]
    mart = history.query(f"select {', '.join(columns)} from agg_tool_efficiency order by popularity_rank")
    assert [{name: row[name] for name in columns} for row in found["rows"]] == mart
    rates = ["success_rate", "error_rate", "rejection_rate", "retry_rate"]
    exact = history.query(f"select {', '.join(rates)} from agg_tool_efficiency order by popularity_rank")
    for row, expected in zip(found["rows"], exact, strict=True):
        for name in rates:
            assert row[name] == (None if expected[name] is None else pytest.approx(Decimal(expected[name])))


def test_blocks_equal_their_mart(history: History) -> None:
    found = history.json("blocks")
    columns = ["session_count", "response_count", *TOKENS, "cost_usd", "unpriced_response_count"]
    mart = history.query(
        f"select epoch_ms(started_at) as started_ms, {', '.join(columns)}, burn_rate_usd_per_hour"
        " from agg_billing_blocks order by started_at"
    )
    assert len(mart) > 10
    for row, expected in zip(found["rows"], mart, strict=True):
        assert datetime.fromisoformat(row["started_at"]).timestamp() * 1000 == expected["started_ms"]
        assert {name: row[name] for name in columns} == {name: expected[name] for name in columns}
        rate = expected["burn_rate_usd_per_hour"]
        assert row["burn_rate_usd_per_hour"] == (None if rate is None else pytest.approx(Decimal(rate)))
    # built in October: whatever was in progress then is over
    assert not any(row["is_current"] or row["projected_cost_usd"] for row in found["rows"])


def test_the_block_in_progress_is_projected_to_its_end(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.reports.blocks.published_at", lambda connection: END)
    with marts.reading(history.settings) as connection:
        Selection().apply(connection)
        report = blocks(connection, Selection(), ZoneInfo(ZONE), now=END + timedelta(minutes=1))
        over = blocks(connection, Selection(), ZoneInfo(ZONE), now=END + timedelta(hours=5))
    (row,) = [row for row in report.rows if row["is_current"]]
    assert row is report.rows[-1]
    assert row["started_at"] <= END < row["ended_at"]
    left = (row["ended_at"] - END) / timedelta(hours=1)
    assert float(row["projected_cost_usd"]) == pytest.approx(
        float(row["cost_usd"]) + row["burn_rate_usd_per_hour"] * left, abs=0.006
    )
    text = as_text(report, Selection(), ZoneInfo(ZONE), width=80, terminal=False)
    assert f"it ends at ${row['projected_cost_usd']:,.2f}" in text
    assert f"by {END.astimezone(ZoneInfo(ZONE)):%H:%M}" in text
    assert not any(row["is_current"] for row in over.rows)


def test_waste_equals_the_truth(history: History) -> None:
    calls = {
        row["tool_call_key"]: row["tool_use_id"]
        for row in history.query("select tool_call_key, tool_use_id from fct_tool_calls")
    }
    found = history.json("waste")
    expected = {
        (session_id, finding): waste
        for truth in history.truths.values()
        for session_id, session in truth.sessions.items()
        for finding, waste in session.waste.items()
    }
    assert {(row["session_id"], row["finding"]) for row in found["rows"]} == set(expected)
    for row in found["rows"]:
        waste = expected[row["session_id"], row["finding"]]
        assert sorted(calls.get(key, key) for key in row["evidence_keys"]) == sorted(waste.evidence)
        assert row["occurrence_count"] == len(waste.evidence)
        assert [row[name] for name in TOKENS] == waste.tokens
        if waste.cost_usd is None:
            assert row["cost_usd"] is None
        else:
            assert row["cost_usd"] == pytest.approx(waste.cost_usd, abs=Decimal("1e-8"))
    assert found["totals"] is None  # findings overlap
    for total in found["totals_by_finding"]:
        rows = [row for row in found["rows"] if row["finding"] == total["finding"]]
        assert total["session_count"] == len(rows)
        for name in ("occurrence_count", *TOKENS):
            assert total[name] == sum(row[name] for row in rows)


SELECTIONS = [
    (),
    ("--since", "2026-10-12"),
    ("--until", "2026-10-12"),
    ("--since", "2026-10-10", "--until", "20261019"),
    ("--since", "2026-10-25", "--until", "2026-10-25"),
    ("--machine", "laptop"),
    ("--project", "storefront"),
    ("--project", "storefront", "--project", "/home/ada/work/billing-api", "--machine", "desktop"),
    ("--project", "storefront", "--machine", "laptop", "--since", "2026-10-08", "--until", "2026-10-20"),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=" ".join)
def test_totals_are_the_sums_of_the_rows_in_all_reports(history: History, selection: tuple[str, ...]) -> None:
    found = {name: history.json(name, *selection) for name in REPORTS}
    for name in REPORTS:
        rows, totals = found[name]["rows"], found[name]["totals"]
        if totals is None:
            continue
        assert rows
        for column in totals.keys() - NOT_SUMMED:
            assert totals[column] == sum(row[column] for row in rows if row[column] is not None), (name, column)
        assert totals["session_count"] <= sum(row.get("session_count", 1) for row in rows)
    # whichever way the same responses are cut
    totals = [{column: found[name]["totals"][column] for column in RESPONSES} for name in USAGE]
    assert totals == [totals[0]] * len(USAGE)
    assert found["tool"]["totals"]["call_count"] == found["daily"]["totals"]["tool_call_count"]
    if not any(option in selection for option in ("--since", "--until")):
        assert {column: found["blocks"]["totals"][column] for column in RESPONSES} == totals[0]


def test_a_machine_has_what_its_history_has(history: History) -> None:
    for machine, truth in history.truths.items():
        days = {row["date"]: measures(row) for row in history.json("daily", "--machine", machine)["rows"]}
        assert days == {
            day: added([facts]) for day, facts in truth.days.items() if facts.message_count + facts.tool_call_count
        }
        tools = history.json("tool", "--machine", machine)["rows"]
        assert {row["tool_name"]: row["call_count"] for row in tools} == truth.tools
        sessions = history.json("session", "--machine", machine)["rows"]
        assert {row["session_id"] for row in sessions} == set(truth.sessions)
        waste = history.json("waste", "--machine", machine)["rows"]
        assert {row["session_id"] for row in waste} == {key for key, one in truth.sessions.items() if one.waste}


def test_a_project_on_some_days_has_what_happened_in_it_on_them(history: History) -> None:
    usage = [item for truth in history.truths.values() for item in truth.usage.items()]
    project_id = Counter(project for (_, project, _), _ in usage).most_common(1)[0][0]
    first, last = "2026-10-08", "2026-10-20"
    chosen = [(key, facts) for key, facts in usage if key[1] == project_id and first <= key[0] <= last]
    expected = {name: added(facts for _, facts in chosen)[name] for name in RESPONSES}
    by_model = {
        model: added(facts for key, facts in chosen if key[2] == model)["cost_usd"]
        for model in {key[2] for key, _ in chosen}
    }
    arguments = ("--project", project_id, "--since", first, "--until", last)
    for report in USAGE:
        totals = history.json(report, *arguments)["totals"]
        assert {name: totals[name] for name in RESPONSES} == expected, report
    assert {row["model"]: row["cost_usd"] for row in history.json("model", *arguments)["rows"]} == by_model
    assert [row["project_id"] for row in history.json("project", *arguments)["rows"]] == [project_id]


def test_blocks_of_a_machine_are_the_windows_of_all_usage(history: History) -> None:
    everything = {row["started_at"]: row for row in history.json("blocks")["rows"]}
    parts = [history.json("blocks", "--machine", machine)["rows"] for machine in history.truths]
    for start, whole in everything.items():
        shares = [row for rows in parts for row in rows if row["started_at"] == start]
        for name in ("response_count", *TOKENS, "lower_bound_response_count"):
            assert sum(row[name] for row in shares) == whole[name]
        assert sum(row["cost_usd"] or 0 for row in shares) == (whole["cost_usd"] or 0)


def test_blocks_of_a_day_are_whole(history: History) -> None:
    everything = history.json("blocks")["rows"]
    zone = ZoneInfo(ZONE)
    days = {datetime.fromisoformat(row["started_at"]).astimezone(zone).date() for row in everything}
    for day in sorted(days)[:5]:
        assert history.json("blocks", "--since", str(day), "--until", str(day))["rows"] == [
            row for row in everything if datetime.fromisoformat(row["started_at"]).astimezone(zone).date() == day
        ]


def test_waste_of_a_day_has_its_evidence_on_it(history: History) -> None:
    dated = {
        row["key"]: row["day"]
        for row in history.query(
            "select tool_call_key as key, cast(called_date_key as varchar) as day from fct_tool_calls"
            " union all select message_key, cast(created_date_key as varchar) from fct_messages"
        )
    }
    everything = history.json("waste")["rows"]
    for day in {dated[key] for row in everything for key in row["evidence_keys"]}:
        found = history.json("waste", "--since", day, "--until", day)
        assert found["rows"] == [row for row in everything if any(dated[key] == day for key in row["evidence_keys"])]
        partial = sum(any(dated[key] != day for key in row["evidence_keys"]) for row in found["rows"])
        assert any("outside these days" in note for note in found["notes"]) == bool(partial)


@pytest.mark.parametrize("report", REPORTS)
def test_csv_says_what_json_says(history: History, report: str) -> None:
    def plain(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        return ";".join(value) if isinstance(value, list) else str(value)

    def same(one: str, other: str) -> bool:
        try:
            return one == other or Decimal(one) == Decimal(other)
        except ArithmeticError:
            return False

    rows = list(csv.DictReader(io.StringIO(history.run(report, "--csv"), newline="")))
    expected = history.json(report)["rows"]
    assert rows
    for row, other in zip(rows, expected, strict=True):
        assert list(row) == list(other)
        for name, value in other.items():
            assert same(row[name], plain(value)), (name, row[name], value)


@pytest.mark.parametrize("report", REPORTS)
def test_text_fits_a_pipe(history: History, report: str) -> None:
    text = history.run(report)
    heading, table, *_ = text.split("\n\n")
    assert heading.startswith(report)
    assert ZONE in heading
    assert max(map(len, table.split("\n"))) <= 80
    assert "\x1b" not in text
    wide = history.run(report, COLUMNS="200").split("\n\n")[1]
    assert max(map(len, wide.split("\n"))) > 80
    document = history.json(report)
    assert len(table.strip("\n").split("\n")) - 2 <= len(document["rows"]) + 1
    if document["totals"] and report != "tool":
        assert f"{document['totals']['cost_usd']:,.2f}" in wide.split("\n")[-1]
        assert f"{document['totals']['output_tokens']:,}" in wide.split("\n")[-1]


def on_terminal(history: History, *arguments: str, columns: int, **env: str) -> str:
    """What a terminal of so many columns gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    names = {"DATA_DIR": str(history.settings.data_dir), "ANALYTICS_TZ": history.settings.analytics_tz}
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "DUCKDB_PATH")}
    command = [sys.executable, "-m", "analytics.cli", "report", *arguments]
    with subprocess.Popen(command, stdout=theirs, stdin=theirs, env=kept | names | env) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is closed
            while piece := os.read(ours, 65536):
                shown += piece
        os.close(ours)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("arguments", [(), ("daily",), ("model",)])
def test_a_narrow_terminal_gets_lines_that_fit(history: History, arguments: tuple[str, ...]) -> None:
    shown = on_terminal(history, *arguments, columns=40)
    assert "\x1b[1m" in shown
    table = next(part for part in shown.split("\n\n") if "─" in part)
    prose = [line for part in shown.split("\n\n")[:-2] for line in part.split("\n")]
    assert max(display_width(line.replace("\x1b[1m", "").replace("\x1b[0m", "")) for line in prose) <= 40
    assert re.search(r"total .*≥", table), "what counts most is still there"


def test_no_color_is_respected(history: History) -> None:
    assert "\x1b" not in on_terminal(history, "daily", columns=100, NO_COLOR="1")


def test_sums_say_what_is_missing_in_them(history: History) -> None:
    for report in USAGE:
        found = history.json(report)
        lower = found["totals"]["lower_bound_response_count"]
        assert lower
        assert found["totals"]["unpriced_response_count"]
        text = history.run(report)
        assert f"note: {lower:,} responses never got a final output count" in text
        assert "warning: no price for " in text
        total = next(line for line in text.splitlines() if line.startswith("total"))
        assert total.count("≥") == 2  # output and cost


def test_a_cost_nobody_knows_is_not_zero(tiny: History) -> None:
    arguments = ("--since", "2026-03-03")
    assert tiny.json("daily", *arguments)["totals"]["cost_usd"] is None
    assert tiny.json("daily", *arguments)["rows"][0]["cost_usd"] is None
    assert "cost_usd" in tiny.run("daily", *arguments, "--csv")
    (row,) = csv.DictReader(io.StringIO(tiny.run("daily", *arguments, "--csv")))
    assert row["cost_usd"] == ""
    text = tiny.run("daily", *arguments)
    assert "no price" in next(line for line in text.splitlines() if line.startswith("total"))
    assert "warning: no price for <i>glm</i> (1 response)" in text
    # beside a cost that is known, it is missing from the sum
    assert tiny.json("model")["totals"]["cost_usd"] == Decimal("47.5")
    assert "≥47.50" in tiny.run("model")


def test_titles_stay_on_their_line(tiny: History) -> None:
    (row,) = tiny.json("session")["rows"]
    assert row["title"] == HOSTILE
    lines = tiny.run("session", COLUMNS="400").splitlines()
    (line,) = [line for line in lines if "alert" in line]
    assert line.endswith("glm</i>, opus-4-6") or "opus-4-6" in line
    assert "\u2028" not in line


def test_sessions_are_limited_to_the_newest(history: History) -> None:
    everything = history.json("session")
    found = history.json("session", "--limit", "3")
    assert found["rows"] == everything["rows"][-3:]
    assert found["totals"]["session_count"] == 3
    assert found["totals"]["response_count"] == sum(row["response_count"] for row in found["rows"])
    left_out = len(everything["rows"]) - 3
    assert found["notes"][0] == f"note: {left_out} earlier sessions not shown and not in the total (--limit)"
    # notes are on what is shown, too
    lower = found["totals"]["lower_bound_response_count"]
    assert any(note.startswith(f"note: {lower:,} response") for note in found["notes"]) == bool(lower)
    chosen = ("--since", "2026-10-10", "--until", "2026-10-19", "--machine", "laptop")
    assert history.json("session", *chosen, "--limit", "2")["rows"] == history.json("session", *chosen)["rows"][-2:]
    assert history.json("session", "--limit", "100000") == everything


@pytest.mark.parametrize("report", REPORTS)
def test_nothing_selected_is_said_in_one_line(history: History, empty: History, report: str) -> None:
    arguments = (report, "--since", "2031-01-01", "--until", "2031-01-31", "--machine", "laptop")
    said = history.run(*arguments)
    assert said.startswith(
        "nothing to report: since 2031-01-01, until 2031-01-31, machine laptop; there are data from 20"
    )
    assert said.count("\n") == 1
    found = history.json(*arguments)
    assert found["rows"] == []
    assert found["totals"] is None or all(not value for value in found["totals"].values())
    header = history.run(*arguments, "--csv")
    assert header == history.run(report, "--csv").split("\n")[0] + "\n"
    assert empty.run(report) == "nothing to report; the published history is empty\n"
    assert empty.json(report)["rows"] == []
    assert empty.run(report, "--csv") == header


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--since", "2026-02-30"), "--since '2026-02-30' is no day: give YYYY-MM-DD, YYYY-MM, today, yesterday, a"),
        (("--until", "soon"), "--until 'soon' is no day"),
        (("--since", "2026-10-02", "--until", "2026-10-01"), "--since '2026-10-02' is after --until '2026-10-01'"),
        (("--project", "storefrnt"), "--project 'storefrnt': no such project; did you mean storefront"),
        (("--project", ""), "--project '': no such project"),
        (("--machine", "lap"), "--machine 'lap': no such machine; did you mean laptop; there are: desktop, laptop"),
        (("--json", "--csv"), "--json and --csv: give one of them"),
    ],
)
@pytest.mark.parametrize("report", ["daily", "blocks"])
def test_a_wrong_choice_is_one_line(history: History, report: str, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        history.run(report, *arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_projects_go_by_id_name_and_path(history: History) -> None:
    (project,) = history.query("select project_id, project_path from dim_projects where project_name = 'storefront'")
    by_id = history.json("project", "--project", project["project_id"])
    assert [row["project_id"] for row in by_id["rows"]] == [project["project_id"]]
    for name in (project["project_path"], "storefront", "STOREFRONT"):
        assert history.json("project", "--project", name) == by_id


def test_days_of_another_time_zone_are_said_to_be_that(history: History) -> None:
    warning = "warning: days are not those of ANALYTICS_TZ=Pacific/Kiritimati before the next run"
    assert warning in history.run("daily", ANALYTICS_TZ="Pacific/Kiritimati")
    assert "ANALYTICS_TZ" not in history.run("daily")


@pytest.mark.parametrize("report", REPORTS)
def test_nothing_published_names_the_remedy(tmp_path: Path, report: str) -> None:
    nothing = History(load_settings(data_dir=tmp_path), {})
    with pytest.raises(AnalyticsError, match=r"nothing is published at .*make pipeline") as caught:
        nothing.run(report)
    assert caught.value.exit_code == 1


def test_every_report_has_an_example(history: History) -> None:
    for name in REPORTS:
        done = CliRunner().invoke(cli, ["report", name, "--help"])
        assert f"claude-analytics report {name}" in done.stdout


def test_numbers_equal_the_reference_when_samples_are_read(samples: History, samples_dir: Path) -> None:
    expected = json.loads((samples_dir / "expected.json").read_text(), parse_float=Decimal)

    def four(row: dict[str, Any]) -> dict[str, int]:
        return {
            "input": row["input_tokens"],
            "output": row["output_tokens"],
            "write": row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"],
            "read": row["cache_read_tokens"],
        }

    for report in (*USAGE, "blocks"):
        totals = samples.json(report)["totals"]
        assert totals["response_count"] == expected["responses"]
        assert four(totals) == expected["tokens"]
        assert abs(totals["cost_usd"] - expected["cost_usd"]) <= Decimal("0.000001")
    for report in ("daily", "session", "project"):
        totals = samples.json(report)["totals"]
        assert totals["session_count"] == expected["sessions"]
        assert totals["prompt_count"] == expected["prompts"]
        assert totals["tool_call_count"] == expected["tool_calls"]
        assert (totals["lines_added"], totals["lines_removed"]) == (expected["lines_added"], expected["lines_removed"])
    models = samples.json("model")["rows"]
    assert {row["model"]: {**four(row), "responses": row["response_count"]} for row in models} == expected["by_model"]
    tools = samples.json("tool")
    assert {row["tool_name"]: row["call_count"] for row in tools["rows"]} == expected["tools"]
    for status in ("success", "error", "rejected", "pending"):
        assert tools["totals"][f"{status}_count"] == expected["status"].get(status, 0)
    for report in REPORTS:
        table = samples.run(report).split("\n\n")[1]
        assert max(map(len, table.split("\n"))) <= 80


def test_projects_of_one_name_are_told_apart(samples: History) -> None:
    rows = samples.json("project")["rows"]
    assert {row["project"] for row in rows} >= {"Projects/skills", "entire/skills"}
