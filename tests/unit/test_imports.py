"""What is imported only when it is needed, and what never is."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from analytics.common.process import import_late, without


def test_a_late_module_is_loaded_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_package").mkdir()
    (tmp_path / "late_package" / "__init__.py").touch()
    (tmp_path / "late_package" / "part.py").write_text("import sys\nsys.late_part_ran = True\nvalue = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "late_part_ran", False, raising=False)
    import_late("late_package", "part")
    from late_package import part  # type: ignore[import-not-found]

    assert not sys.late_part_ran  # type: ignore[attr-defined]
    assert part.value == 7
    assert sys.late_part_ran  # type: ignore[attr-defined]


def test_a_module_is_hidden_for_the_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hidden_for_a_while.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with without("hidden_for_a_while"), pytest.raises(ImportError):
        importlib.import_module("hidden_for_a_while")
    assert importlib.import_module("hidden_for_a_while")
    with without("hidden_for_a_while"):  # whoever has it keeps it
        assert importlib.import_module("hidden_for_a_while")


def test_great_expectations_comes_without_distributions_until_one_is_looked_at() -> None:
    code = """
import sys
from analytics.quality.great import gx
assert "scipy.stats" not in sys.modules
from great_expectations.expectations.core.expect_column_kl_divergence_to_be_less_than import stats
assert stats.entropy([0.5, 0.5], [0.5, 0.5]) == 0
assert "scipy.stats" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
