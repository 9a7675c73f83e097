"""If this is wrong, an extract counts a collection for nobody, or a bar has no end."""

from __future__ import annotations

import io

import pytest
from analytics.common import progress
from analytics.common.progress import progress_bar, steps, while_heard


def test_nobody_is_asked_for_a_total_that_is_not_shown() -> None:
    asked: list[int] = []
    with progress_bar("extract", lambda: asked.append(1) or 10, "documents", shown=False) as bar:
        bar.advance(5)
    assert asked == []


def test_a_plain_line_asks_for_the_total_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", -1.0)
    with progress_bar("extract", lambda: asked.append(1) or 10, "documents", shown=False) as bar:
        bar.advance(5)
        bar.advance(5)
    assert asked == [1]
    assert capsys.readouterr().err.splitlines() == [
        "extract: 5 documents of 10 documents",
        "extract: 10 documents of 10 documents",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [10, lambda: 10])
def test_a_bar_has_its_total(monkeypatch: pytest.MonkeyPatch, total: float) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "_outside", stream := _Terminal())
    with progress_bar("extract", total, "documents") as bar:
        bar.advance(10)
    assert "10/10" in stream.getvalue()


def test_a_kernels_progress_is_in_the_notebook_and_outside_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", -1.0)
    monkeypatch.setattr(progress, "_outside", outside := io.StringIO())
    with progress_bar("extract", 10, "documents") as bar:
        bar.advance(5)
    assert outside.getvalue() == capsys.readouterr().err == "extract: 5 documents of 10 documents\n"


def test_a_terminal_shows_the_step_at_hand_and_nothing_when_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_outside", stream := _Terminal())
    with steps("validate") as starting:
        starting("marts.dim_sessions")
        assert stream.getvalue().endswith("validate: marts.dim_sessions\r")
    assert stream.getvalue().endswith("\r\x1b[K\r")


def test_a_step_is_a_plain_line_now_and_then_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with steps("validate") as starting:
        starting("raw.conversations")
        monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", -1.0)
        starting("marts.dim_sessions")
    assert capsys.readouterr().err == "validate: marts.dim_sessions (2 begun)\n"


def test_work_goes_on_when_nobody_reads_any_more() -> None:
    def say(_line: str) -> None:
        raise BrokenPipeError

    while_heard(say)("extract")
