"""The benchmarks' history: a regression that nobody compares is not seen."""

from __future__ import annotations

from typing import Any

from benchmarks.__main__ import compared


def entry(commit: str, scale: float = 1.0, **figures: Any) -> dict[str, Any]:
    return {"commit": commit, "machine": "here, 2 cores", "scale": scale, "figures": figures}


def test_what_became_slower_stands_first_and_noise_not_at_all() -> None:
    before = {"runs": [{"seconds": 2.0, "mb": 100}], "rows": 7, "quick": 1.0, "name": "x"}
    after = {"runs": [{"seconds": 5.0, "mb": 104}], "rows": 7, "quick": 0.5, "name": "x"}
    history = [
        entry("aaa", build=before),
        entry("bbb", scale=10, build=after),
        entry("ccc", build=after, cards={"s": 1}),
    ]
    assert compared(history).splitlines() == [
        "build: aaa -> ccc, 2 of 4 figures moved",
        "  x2.50   runs[0].seconds: 2 -> 5",
        "  x0.50   quick: 1 -> 0.5",
        "cards: nothing to compare with",
    ]


def test_without_a_history_it_says_what_to_run() -> None:
    assert "run `make bench` first" in compared([])
