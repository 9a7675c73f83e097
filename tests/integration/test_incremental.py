"""An incremental run equals a full refresh, row for row, whatever the split and order of the input.

Without this a tool result that arrives before its call, a late sub-agent file, a batch stored twice or a resumed
session would leave rows behind that only the next full refresh corrects.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from analytics.raw.extract import extract
from analytics.settings import Settings, load_settings
from analytics.warehouse import built_with
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import TransformResult, transform
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from transcript_generator import generate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_prepared_plan")]

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)
Line = tuple[Path, bytes]  # transcript below the projects directory, one line of it


def lines_of(projects: Path) -> list[Line]:
    return [
        (path.relative_to(projects), line)
        for path in sorted(projects.rglob("*.jsonl"))
        for line in path.read_bytes().split(b"\n")
        if line.strip()
    ]


def batches_of(
    lines: list[Line], cuts: Iterable[float], rng: random.Random, repeated: float, spread: float
) -> list[list[Line]]:
    """The lines in random order, cut at the given places; a share of each batch comes again in the next one.

    Transcripts arrive whole when `spread` is 0, and each batch touches few sessions; the larger it is the more their
    lines are mixed, up to no order at all.
    """
    places_of_files = {path: rng.random() for path in sorted({path for path, _ in lines})}
    lines = sorted(lines, key=lambda line: places_of_files[line[0]] + spread * rng.random())
    places = sorted({0, len(lines), *(int(cut * len(lines)) for cut in cuts)})
    batches = [lines[start:end] for start, end in itertools.pairwise(places)]
    for earlier, later in itertools.pairwise(list(batches)):
        later += rng.sample(earlier, int(repeated * len(earlier)))
    return batches


def forks_of(lines: list[Line], rng: random.Random, share: float) -> list[Line]:
    """Copies of a share of the lines under other sessions: which copy stands depends on documents of both."""
    forks = []
    for path, text in rng.sample(lines, int(share * len(lines))):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            entry = json.loads(text)
            fork = rng.choice(["0-before-all-others", "z-after-all-others"])
            if entry["sessionId"]:
                forks.append((path.with_name(f"{fork}.jsonl"), json.dumps({**entry, "sessionId": fork}).encode()))
    return forks


def run(settings: Settings, *, full_refresh: bool = False) -> TransformResult:
    """Extract, load, transform and publish."""
    extract(settings)
    load(settings, full_refresh=full_refresh, even_if_unchanged=True)
    result = transform(settings, full_refresh=full_refresh, as_of=AS_OF)
    publish(settings)
    return result


def differing_rows(one: Path, other: Path) -> dict[str, tuple[int, int]]:
    """Marts that differ: how many rows only the one and only the other holds."""
    differing = {}
    with duckdb.connect() as connection:
        connection.execute(f"attach '{one}' as one (read_only)")
        connection.execute(f"attach '{other}' as other (read_only)")
        tables = connection.sql(
            "select table_name from duckdb_tables() where database_name = 'one' and schema_name = 'marts'"
        ).fetchall()
        assert len(tables) > 15
        for (table,) in tables:
            # publishing notes when it did
            rows = f"marts.{table}" + (" where check_name <> 'published_at'" if table == "agg_data_quality" else "")
            counts = [
                connection.sql(
                    f"select count(*) from (select * from {a}.{rows} except all select * from {b}.{rows})"
                ).fetchone()[0]
                for a, b in (("one", "other"), ("other", "one"))
            ]
            if any(counts):
                differing[table] = tuple(counts)
    return differing


def assert_incremental_equals_full(root: Path, batches: list[list[Line]]) -> None:
    settings = load_settings(source="jsonl", data_dir=root / "data", claude_projects_dir=root / "projects")
    for number, batch in enumerate(batches):
        for path, line in batch:
            target = settings.projects_dirs[0] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("ab") as file:
                file.write(line + b"\n")
        # dbt builds the first batch, its plan then the others
        assert run(settings).by_plan == (number > 0)
    incremental = root / "incremental.db"
    shutil.copyfile(settings.published_path, incremental)
    (settings.data_dir / "dbt" / "plan.json").unlink()
    assert not run(settings, full_refresh=True).by_plan
    assert differing_rows(incremental, settings.published_path) == {}


@hypothesis_settings(
    max_examples=int(os.environ.get("INCREMENTAL_EXAMPLES", "3")),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # an example takes seconds: one that fails is told as it is
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.sampled_from([0.5, 0.3, 0.7, 0.05, 0.95]), min_size=1, max_size=3, unique=True),
    repeated=st.sampled_from([0.0, 0.1, 1.0]),
    spread=st.sampled_from([0.0, 0.2, 100.0]),
)
def test_marts_equal_a_full_refresh_when_a_generated_history_arrives_in_any_split_and_order(
    seed: int, cuts: list[float], repeated: float, spread: float
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        generate(root / "generated", seed=seed, entries=600, days=6, end=datetime(2026, 8, 20, tzinfo=UTC))
        lines, rng = lines_of(root / "generated"), random.Random(seed)
        lines += forks_of(lines, rng, share=0.1)
        assert_incremental_equals_full(root, batches_of(lines, cuts, rng, repeated, spread))


def test_marts_equal_a_full_refresh_when_every_hard_case_arrives_in_the_wrong_order(tmp_path: Path) -> None:
    """Results before their calls, carried-on sessions before the ones they copy, sub-agents last, all of it twice."""
    truth = generate(tmp_path / "generated", seed=7, entries=700, days=4, end=datetime(2026, 8, 20, tzinfo=UTC))
    lines = lines_of(tmp_path / "generated")
    late = [line for line in lines if "agent-" in line[0].name]
    early = [line for line in lines if b'"tool_result"' in line[1] and line not in late]
    rest = [line for line in lines if line not in late and line not in early][::-1]
    assert late
    assert early
    assert truth.entry_copies
    assert any(session.is_resumed for session in truth.sessions.values())
    assert len(truth.days) > 1
    batches = [early, rest[: len(rest) // 2], rest[len(rest) // 2 :], late, lines]
    assert_incremental_equals_full(tmp_path, batches)


def line(session: str, at: str, content: Any, file: str = "", **more: Any) -> Line:
    """A line of a conversation; an assistant's when `more` holds the id of a response."""
    message: dict[str, Any] = {"role": "user", "content": content}
    if "response" in more:
        usage = {"input_tokens": 10, "output_tokens": more.pop("output", 5)}
        message |= {"role": "assistant", "id": more.pop("response"), "model": "claude-opus-4-6", "usage": usage}
    entry = {"type": message["role"], "sessionId": session, "timestamp": f"2026-08-01T{at}:00.000Z", "cwd": "/w"}
    entry |= {"uuid": f"{session}-{at}", "message": message, **more}
    return Path("-w") / f"{file or session}.jsonl", json.dumps(entry).encode()


def test_marts_equal_a_full_refresh_when_new_documents_change_sessions_they_do_not_belong_to(tmp_path: Path) -> None:
    """Rows change in sessions nothing new came for, and depend on what older sessions hold."""
    call = [{"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "/w/a.py"}}]
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": "text"}]
    summary = {"type": "summary", "summary": "What it was about", "leafUuid": "titled-10:00"}
    first = [
        line("forked", "10:00", "again", uuid="u1"),
        line("forked", "10:01", "and more"),
        line("caller", "10:00", call, response="m1"),
        line("partial", "10:00", [], response="m2", output=1),
        line("titled", "10:00", "<x> has no title of its own"),
        line("carried", "10:00", "go on", file="shared"),
        line("original", "09:00", "said once", uuid="u2"),
        line("echo", "09:30", "said once", uuid="u2"),
    ]
    second = [
        line("copied", "09:59", "again", uuid="u1"),
        line("answering", "10:02", result),
        line("finishing", "10:03", [], response="m2", output=500),
        (Path("-w") / "other.jsonl", json.dumps(summary).encode()),
        line("before", "08:00", "start", file="shared"),
        line("echo", "09:31", "something new"),
    ]
    assert_incremental_equals_full(tmp_path, [first, second])
    with duckdb.connect(str(tmp_path / "incremental.db"), read_only=True) as connection:
        query = "select session_id, prompt_count, output_tokens, title, is_resumed from marts.dim_sessions"
        sessions = {row[0]: row[1:] for row in connection.execute(query).fetchall()}
        assert sessions["forked"][0] == 1
        assert sessions["echo"][0] == 1
        assert sessions["partial"][1] == 500
        assert sessions["titled"][2] == "What it was about"
        assert sessions["carried"][3]
        assert connection.execute("select status from marts.fct_tool_calls").fetchall() == [("success",)]


def test_marts_equal_a_full_refresh_when_real_transcripts_arrive_in_any_split_and_order(
    samples_dir: Path, tmp_path: Path
) -> None:
    rng = random.Random(20260901)
    batches = batches_of(
        lines_of(samples_dir / "projects"), [rng.random() for _ in range(3)], rng, repeated=0.02, spread=100
    )
    assert_incremental_equals_full(tmp_path, batches)


def test_marts_change_when_a_day_border_moves_with_the_time_zone(samples_dir: Path, tmp_path: Path) -> None:
    """Another ANALYTICS_TZ dates everything anew, and back gives the same rows again."""
    shared = {
        "source": "jsonl",
        "data_dir": tmp_path / "data",
        "claude_projects_dir": samples_dir / "projects",
    }
    run(load_settings(**shared))
    utc = tmp_path / "utc.db"
    published = load_settings(**shared).published_path
    shutil.copyfile(published, utc)
    tokyo = load_settings(**shared, analytics_tz="Asia/Tokyo")
    assert "every session is built again: models, prices, ANALYTICS_TZ" in str(load(tokyo))
    run(tokyo)
    assert "agg_hourly_activity" in differing_rows(utc, published)
    run(load_settings(**shared))
    assert differing_rows(utc, published) == {}
    assert load(load_settings(**shared)).because == ""


def test_an_upgrade_that_reads_documents_differently_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "projects" / "-p").mkdir(parents=True)
    entry = {"type": "user", "uuid": "u", "sessionId": "s", "message": {"role": "user", "content": "hello"}}
    (tmp_path / "projects" / "-p" / "s.jsonl").write_text(json.dumps(entry) + "\n")
    settings = load_settings(source="jsonl", data_dir=tmp_path / "data", claude_projects_dir=tmp_path / "projects")
    run(settings)
    now = built_with.current(settings)
    monkeypatch.setattr(built_with, "current", lambda _: replace(now, reading="another"))
    result = load(settings)
    assert result.full_refresh
    assert "every document is loaded again: this version reads them differently" in str(result)


def test_marts_equal_a_full_refresh_when_rows_move_to_another_day_or_get_one(tmp_path: Path) -> None:
    """Rows are looked for on the days of the touched sessions: the day they leave must be one of them."""

    def call(key: str) -> list[dict[str, Any]]:
        return [{"type": "tool_use", "id": key, "name": "Write", "input": {"file_path": "/w/a.py", "content": "x"}}]

    first = [
        line("late", "10:00", [], response="m1", timestamp="2026-08-05T23:59:00Z"),
        line("late", "10:01", call("t1"), response="m2", timestamp="2026-08-06T10:00:00Z"),
        line("untimed", "10:00", "when?", timestamp=None),
        line("untimed", "10:01", call("t2"), response="m3", timestamp=None),
        line("untimed", "10:02", [], response="m4", timestamp="nonsense"),
        line("bystander", "10:00", [], response="m5", timestamp="2026-08-05T12:00:00Z"),
        line("bystander", "10:01", "when?", timestamp=None),
    ]
    second = [
        line("early", "10:00", [], response="m1", timestamp="2026-08-02T10:00:00Z"),
        line("early", "10:01", call("t1"), response="m2", timestamp="2026-08-03T00:00:00Z"),
        line("other", "10:01", call("t2"), response="m3", timestamp="2026-08-04T00:00:00Z"),
    ]
    third = [line("untimed", "10:03", "now", timestamp="2026-08-01T10:00:00Z")]
    assert_incremental_equals_full(tmp_path, [first, second, third])
