"""What `--since`, `--until` and `--project` mean. Without these a report could be off by a day, or a typing error could
select nothing in silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest
from analytics.errors import ConfigError
from analytics.reports.selection import Selection, parse_day, select

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-02-28", date(2026, 2, 28)),
        ("20260228", date(2026, 2, 28)),
        (" Today ", TODAY),
        ("yesterday", date(2026, 2, 28)),
        ("1d", TODAY),
        ("7d", date(2026, 2, 23)),
    ],
)
def test_days_are_read_as_people_write_them(value: str, day: date) -> None:
    assert parse_day("--since", value, TODAY) == day


@pytest.mark.parametrize(
    "value",
    ["", "2026-02-29", "2026-2-3", "202602-28", "2026-W09-1", "28.02.2026", "0d", "-7d", "9999999d", "7", "now"],
)
def test_anything_else_is_named_with_what_is_allowed(value: str) -> None:
    with pytest.raises(ConfigError, match="YYYY-MM-DD, YYYY-MM, today, yesterday, a weekday, or 7d") as caught:
        parse_day("--until", value, TODAY)
    assert str(caught.value).startswith(f"--until {value!r}")


def test_both_ends_are_included() -> None:
    chosen = Selection(since=date(2026, 1, 1), until=date(2026, 1, 31))
    assert chosen.days("day") == "true and day >= date '2026-01-01' and day <= date '2026-01-31'"
    assert str(chosen) == "since 2026-01-01, until 2026-01-31"
    assert str(Selection()) == ""


@pytest.fixture
def projects() -> Iterator[duckdb.DuckDBPyConnection]:
    """Two projects of one name, one of them with a worktree; one of Windows; one nobody knows the path of."""
    with duckdb.connect() as connection:
        connection.execute("""
            create table dim_projects as
            select *, 1 as cost_usd
            from (values
                ('-a-app', 'app', 'a/app', '/a/app', '/a/app'),
                ('-a-app-w', 'app (fix)', 'fix', '/a/app/.claude/worktrees/fix', '/a/app'),
                ('-b-app', 'app', 'b/app', '/b/app', '/b/app'),
                ('C--tool', 'tool', 'tool', 'C:\\x\\tool', 'C:\\x\\tool'),
                ('-it-s', 'it''s', 'it''s', '/it''s', '/it''s'),
                ('-lost', null, '-lost', null, null)
            ) as projects (project_id, project_name, project_label, project_path, project_group)
        """)
        connection.execute("create table dim_sessions as select * from (values ('x'), (null)) as t (machine)")
        yield connection


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("-a-app", ("-a-app",)),
        ("/a/app", ("-a-app", "-a-app-w")),
        ("app (fix)", ("-a-app-w",)),
        ("fix", ("-a-app-w",)),
        ("b/app", ("-b-app",)),
        ("app", ("-a-app", "-a-app-w", "-b-app")),
        ("APP", ("-a-app", "-a-app-w", "-b-app")),
        ("tool", ("C--tool",)),
        ("C:\\x\\tool", ("C--tool",)),
        ("it's", ("-it-s",)),
        ("-lost", ("-lost",)),
    ],
)
def test_projects_go_by_id_name_path_and_repository(
    projects: duckdb.DuckDBPyConnection, name: str, ids: tuple[str, ...]
) -> None:
    chosen, notes = select(projects, ZoneInfo("UTC"), projects=[name])
    assert chosen.projects == ids
    assert len(notes) == (len(ids) > 1)
    assert all(project in note for note in notes for project in ids)


def test_several_projects_are_chosen_together(projects: duckdb.DuckDBPyConnection) -> None:
    chosen, _ = select(projects, ZoneInfo("UTC"), projects=["tool", "-b-app", "tool"], machines=["x"])
    assert (chosen.projects, chosen.machines) == (("C--tool", "-b-app"), ("x",))


def test_unknown_names_come_with_the_nearest(projects: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigError, match="--project 'tol': no such project; did you mean tool; there are: "):
        select(projects, ZoneInfo("UTC"), projects=["tol"])
    projects.execute(
        "insert into dim_projects select 'p' || n, 'name' || n, 'name' || n, null, null, 0 from range(50) as t (n)"
    )
    with pytest.raises(ConfigError) as caught:
        select(projects, ZoneInfo("UTC"), projects=["toool"])
    assert str(caught.value) == "--project 'toool': no such project; did you mean tool"
    with pytest.raises(ConfigError, match=r"no such project; there are 56: .*, \.\.\.$"):
        select(projects, ZoneInfo("UTC"), projects=["#"])
    with pytest.raises(ConfigError, match=r"--machine 'y': no such machine; there are: x$"):
        select(projects, ZoneInfo("UTC"), machines=["y"])


def test_no_machine_is_said_when_none_is_recorded(projects: duckdb.DuckDBPyConnection) -> None:
    projects.execute("delete from dim_sessions where machine is not null")
    with pytest.raises(ConfigError, match="--machine 'x': no such machine; none is recorded"):
        select(projects, ZoneInfo("UTC"), machines=["x"])


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2025", date(2025, 1, 1), date(2025, 12, 31)),
        ("2w", TODAY - timedelta(days=13), TODAY - timedelta(days=13)),
    ],
)
def test_a_month_and_a_year_begin_and_end(value: str, first: date, last: date) -> None:
    assert parse_day("--since", value, TODAY) == first
    assert parse_day("--until", value, TODAY, is_end=True) == last


@pytest.mark.parametrize("word", ["monday", "tue", "Sunday"])
def test_a_weekday_is_the_last_one_of_its_name(word: str) -> None:
    found = parse_day("--since", word, TODAY)
    assert found.strftime("%A").lower().startswith(word.lower())
    assert TODAY - timedelta(days=6) <= found <= TODAY
