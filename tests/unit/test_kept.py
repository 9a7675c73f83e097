"""What is kept: without this, `doctor` could promise a copy that is none, or a day on which nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from analytics.operations.kept import CLEANUP_DAYS, Kept, cleanup_days
from analytics.settings import load_settings


def test_sentences_say_since_when_and_what_would_be_lost() -> None:
    kept = Kept(1_203, date(2026, 1, 2), 900, 30, datetime(2026, 5, 1, tzinfo=UTC))
    assert kept.sentences() == [
        "1,203 sessions kept since 2026-01-02",
        "900 ended more than 30 days ago: Claude Code deletes those, so this may be the only copy",
        "without another run, conversations begin to be lost on 2026-05-31",
    ]
    assert Kept(0, None, 0, 30, None).sentences() == []


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ('{"cleanupPeriodDays": 90}', 90),
        ('{"cleanupPeriodDays": "90"}', CLEANUP_DAYS),
        ('{"cleanupPeriodDays": true}', CLEANUP_DAYS),
        ("[]", CLEANUP_DAYS),
        ("{torn", CLEANUP_DAYS),
    ],
)
def test_the_period_is_claude_codes_own(tmp_path: Path, text: str, days: int) -> None:
    (tmp_path / "settings.json").write_text(text)
    assert cleanup_days(load_settings(claude_config_dir=tmp_path)) == days
