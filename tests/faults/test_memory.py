"""What a stage holds in memory follows what it does at once, not how much there is."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from faults.harness import Space

pytestmark = pytest.mark.slow

SMALL, LARGE = 32, 128  # MiB of transcripts; with fewer the allocators have not grown to their size yet


def fill(space: Space, megabytes: int) -> None:
    """Transcripts of about so many MiB, one each, with text that does not compress away."""
    rng = random.Random(megabytes)
    start = datetime(2026, 5, 1, tzinfo=UTC)
    for file in range(megabytes):
        lines = []
        for number in range(200):
            entry = {
                "type": "user",
                "uuid": f"u{file}-{number}",
                "sessionId": f"s{file}",
                "timestamp": (start + timedelta(minutes=file, seconds=number)).isoformat(),
                "message": {"role": "user", "content": rng.randbytes(2_300).hex(" ", 4)},
            }
            lines.append(json.dumps(entry))
        space.write(f"-p/s{file}.jsonl", *lines)


def peaks(space: Space, megabytes: int) -> dict[str, float]:
    """Peak resident MiB of the stages that read a history from its start."""
    fill(space, megabytes)
    found = {}
    for stage in ("extract in small commits", "load"):
        space.do(stage)
        found[stage] = float(space.peak_file.read_text())
    return found


@pytest.mark.parametrize("source", ["jsonl", "mongodb"])
def test_peak_memory_does_not_grow_with_the_history(workspace: Any, source: str) -> None:
    small = peaks(workspace(source=source), SMALL)
    large = peaks(workspace(source=source), LARGE)
    # holding the text only once would be twice as much
    assert {stage for stage in small if large[stage] - small[stage] > (LARGE - SMALL) / 2} == set(), (small, large)
