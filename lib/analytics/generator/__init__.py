"""Synthetic Claude Code histories with known ground truth, for the demo, the tests and the benchmarks.

A history has the features and roughly the frequencies of real transcripts; the same arguments give the same bytes.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from analytics.generator import vocabulary as words
from analytics.generator.history import Session, carry_on, start_times
from analytics.generator.hostile import FOLDER, hostile_lines
from analytics.generator.truth import DayTruth, SessionTruth, Truth

__all__ = ["DayTruth", "SessionTruth", "Truth", "generate"]


def generate(
    target_dir: Path,
    *,
    seed: int = 1,
    entries: int = 5_000,
    days: int = 30,
    end: datetime | None = None,
    projects: int = 5,
    hostile: bool = False,
) -> Truth:
    """Write a history of at least `entries` entries below `target_dir`, laid out as `~/.claude/projects` is.

    Args:
        days: length of the history; it ends before `end`.
        end: UTC; default now. The history depends on its day only.
        projects: how many projects are worked on, at most eight.
        hostile: add one transcript of lines that break parsers.

    Returns:
        What the history holds, by construction.
    """
    rng = random.Random(seed)
    truth = Truth()
    end = (end or datetime.now(UTC)).astimezone(UTC)
    starts = start_times(rng, days, end)
    limit_ms = int(end.timestamp() * 1000)
    number = 0
    earlier: Session | None = None
    while truth.documents < entries:
        number += 1
        project = words.PROJECTS[min(int(rng.expovariate(0.6)), max(1, min(projects, 8)) - 1)]
        resumes = earlier is not None and rng.random() < 0.05
        session = Session(
            truth=truth,
            rng=rng,
            number=number,
            project=earlier.project if resumes and earlier else project,
            era=rng.choices(words.ERAS, [era.weight for era in words.ERAS])[0],
            model=rng.choices([name for name, _ in words.MODELS], [weight for _, weight in words.MODELS])[0],
            clock_ms=next(starts),
            automated=False,
        )
        if session.era.marks_origin and rng.random() < 0.08:
            session.automated = session.own.is_automated = True
        if resumes and earlier:
            # carried on in the same project, after the earlier session ended
            session.clock_ms = earlier.clock_ms + rng.randint(60_000, 3_600_000)
        for _ in range(min(25, 1 + int(rng.expovariate(0.25)))):
            session.turn()
            if session.clock_ms > limit_ms or truth.documents >= entries:
                break
            session.tick(10_000, 240_000)
            if rng.random() < 0.12:
                session.tick(600_000, 5_400_000)  # a pause
            elif rng.random() < 0.01:
                session.tick(8 * 3_600_000, 12 * 3_600_000)  # a night
        session.finish()
        if resumes and earlier:
            carry_on(earlier, session)
        for path, lines in session.files.items():
            _write(target_dir, path, lines, ends_with_newline=rng.random() > 0.1)
        earlier = session
    if hostile:
        path = PurePosixPath(FOLDER, "hostile.jsonl")
        _write(target_dir, path, hostile_lines(truth), ends_with_newline=True)
    return truth


def _write(target_dir: Path, path: PurePosixPath, lines: list[bytes], *, ends_with_newline: bool) -> None:
    target = target_dir / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"\n".join(lines) + (b"\n" if ends_with_newline and lines else b""))
