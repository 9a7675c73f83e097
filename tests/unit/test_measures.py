"""The formulas of dbt's macros for what sums rows of the marts. What would go wrong: expanded macros that were kept
outlive a change of the formula."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from analytics.warehouse import measures


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setattr(measures, "KEPT", tmp_path / "kept.json")
    measures._macros.cache_clear()
    yield tmp_path / "kept.json"
    measures._macros.cache_clear()


def test_what_is_kept_is_what_the_macros_say(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expanded = measures.macro("tool_counts")
    measures._macros.cache_clear()
    monkeypatch.setattr("jinja2.Environment", None)  # is not asked
    assert measures.macro("tool_counts") == expanded
    with pytest.raises(KeyError):
        measures.macro("rate")  # wants arguments


@pytest.mark.parametrize("change", ["source", "tokens", "damage"])
def test_what_is_kept_of_something_else_is_not_used(
    change: str, kept: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measures.macro("tool_counts")
    measures._macros.cache_clear()
    if change == "source":
        changed = tmp_path / "counting.sql"
        changed.write_text("{% macro tool_counts() %}sum(1){% endmacro %}")
        monkeypatch.setattr(measures, "SOURCE", changed)
        assert measures.macro("tool_counts") == "sum(1)"
    elif change == "tokens":
        monkeypatch.setattr(measures, "TOKENS", ("thoughts",))
        assert "as thoughts" in measures.macro("summed_response_measures")
    else:
        kept.write_text("{")
        assert "call_count" in measures.macro("tool_counts")


def test_a_folder_that_cannot_be_written_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(measures, "KEPT", tmp_path / "no" / "such" / "folder.json")
    assert "call_count" in measures.macro("tool_counts")
