"""Synthetic Claude Code histories with known ground truth, for the demo, the tests and the benchmarks.

A history has the features and roughly the frequencies of real transcripts; the same arguments give the same bytes.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from transcript_generator import vocabulary as words
from transcript_generator.copies import carry_on
from transcript_generator.hostile import FOLDER, hostile_files
from transcript_generator.prices import PRICE_LIST, PriceList
from transcript_generator.session import HOUR_MS, MINUTE_MS, Session
from transcript_generator.transcript import Calendar
from transcript_generator.truth import Counts, DayTruth, ProjectTruth, SessionTruth, Truth

__all__ = ["Counts", "DayTruth", "ProjectTruth", "SessionTruth", "Truth", "generate"]


def generate(
    target_dir: Path,
    *,
    seed: int = 1,
    entries: int = 5_000,
    days: int = 30,
    end: datetime | None = None,
    projects: int = len(words.PROJECTS),
    timezone: str = "UTC",
    price_list: Path = PRICE_LIST,
    hostile: bool = False,
    bulk: int = 1,
) -> Truth:
    """Write a history of at least `entries` entries below `target_dir`, laid out as `~/.claude/projects` is.

    Args:
        days: length of the history.
        end: the last possible moment; default now.
        projects: how many projects are worked on, at most eight.
        timezone: IANA name. Decides the working hours, and the days, hours and prices of the ground truth.
        price_list: CSV with the columns of prices.csv beside this file.
        hostile: add transcripts of lines that break parsers.
        bulk: how many times as much text what tools return has; with 5 an entry has the 3 KB of real ones.

    Returns:
        What the history holds, by construction.
    """
    rng = random.Random(seed)
    truth = Truth()
    calendar, prices = Calendar(timezone), PriceList(price_list)
    end = (end or datetime.now(UTC)).astimezone(calendar.zone)
    # no turn outlasts the rest
    limit_ms = int(end.timestamp() * 1000) - 20 * MINUTE_MS
    first_ms = int((end - timedelta(days=days)).timestamp() * 1000)
    starts = _start_times(rng, days, end, limit_ms)
    chosen = words.PROJECTS[: max(1, min(projects, len(words.PROJECTS)))]
    earlier: Session | None = None
    while truth.documents < entries:
        # carried on in the same project, soon after the earlier session ended
        carries_on = earlier is not None and rng.random() < 0.12 and earlier.clock_ms + 2 * HOUR_MS < limit_ms
        as_fork = rng.random() < 0.5
        clock_ms = next(starts)
        project = rng.choices(chosen, [project.weight for project in chosen])[0]
        after_id = ""
        if carries_on and earlier is not None:
            clock_ms = earlier.clock_ms + rng.randint(MINUTE_MS, HOUR_MS)
            project = earlier.project
            after_id = earlier.id if as_fork else ""
        progress = (clock_ms - first_ms) / (limit_ms - first_ms)
        era = words.ERAS[bisect([era.until for era in words.ERAS[:-1]], progress + rng.gauss(0, 0.03))]
        session = Session(
            truth=truth,
            rng=rng,
            calendar=calendar,
            prices=prices,
            project=project,
            era=era,
            model=_model(rng, progress),
            clock_ms=clock_ms,
            is_automated=era.marks_origin and rng.random() < 0.08,
            after_id=after_id,
            bulk=bulk,
        )
        session.run(limit_ms=limit_ms, budget=entries)
        if carries_on and earlier is not None:
            carry_on(earlier, session, as_fork=as_fork)
        for path, lines in session.files.items():
            newline = b"\n" if rng.random() > 0.1 else b""  # a tenth of all files lacks the last one
            _write(target_dir / path, b"\n".join(lines) + newline)
        earlier = session
    if hostile:
        for name, content in hostile_files(truth).items():
            _write(target_dir / PurePosixPath(FOLDER, name), content)
    return truth


def _model(rng: random.Random, progress: float) -> str:
    """What is used at a point of the history: new models come, old ones go."""
    weights = [max(0.0, model.early + (model.late - model.early) * progress) for model in words.MODELS]
    return rng.choices(words.MODELS, weights)[0].name


def _start_times(rng: random.Random, days: int, end: datetime, limit_ms: int) -> Iterator[int]:
    """Endless Unix milliseconds at which sessions start: working hours on weekdays, days off, few weekends."""
    first = end - timedelta(days=days)
    busy = [rng.choice([0.0, 0.5, 0.8, 1.0, 1.0, 1.0]) for _ in range(days + 1)]
    if not any(busy):
        busy = [1.0] * (days + 1)
    missed = 0
    while True:
        number = rng.randrange(days + 1)
        day = first + timedelta(days=number)
        is_weekend = day.weekday() >= 5
        # a history that has no working day is none to wait for
        if missed < 1_000 and rng.random() > busy[number] * (0.2 if is_weekend else 1.0):
            missed += 1
            continue
        hour = min(23.9, max(0.0, rng.gauss(10.4, 1.5) if rng.random() < 0.52 else rng.gauss(15.6, 2.4)))
        start = day.replace(hour=int(hour), minute=int(hour % 1 * 60), second=rng.randrange(60), microsecond=0)
        start_ms = int(start.timestamp() * 1000) + rng.randrange(1000)
        if first.timestamp() * 1000 <= start_ms < limit_ms:
            missed = 0
            yield start_ms


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
