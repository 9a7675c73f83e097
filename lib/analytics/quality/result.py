"""What every expectation said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics.errors import ValidationFailedError


@dataclass(frozen=True)
class Check:
    """The outcome of one expectation."""

    layer: str  # the suite: raw, staging, intermediate or marts
    expectation: str  # such as expect_keys_to_be_unique
    description: str
    severity: str  # critical stops the run, warning is reported
    success: bool
    tables: list[str]  # what failed, or what was looked at
    failing_rows: int
    examples: list[dict[str, Any]] = field(default_factory=list)  # up to 20 failing rows: keys and numbers, no text
    error: str | None = None  # why it could not be evaluated

    def __str__(self) -> str:
        where = ", ".join(self.tables[:3]) + (", ..." if len(self.tables) > 3 else "")
        if self.success:
            return f"{self.expectation} ({self.layer})"
        if self.error:
            return f"{self.expectation} on {where} cannot be evaluated: {self.error}"
        rows = "row" if self.failing_rows == 1 else "rows"
        return f"{self.expectation} on {where}: {self.failing_rows:,} {rows}"


@dataclass(frozen=True)
class ValidationResult:
    """What every expectation said."""

    database: Path
    checks: list[Check]
    docs_path: Path | None  # index of the data docs; None when they were not built
    duration_seconds: float
    notes: list[str] = field(default_factory=list)  # what could not be looked at
    engine: str = "DuckDB"  # what built the models
    data_tests: int = 0  # tests of dbt that held there, when that was not DuckDB

    @property
    def failed(self) -> list[Check]:
        """Critical expectations that failed: nothing may be published."""
        return [check for check in self.checks if not check.success and check.severity == "critical"]

    @property
    def success(self) -> bool:
        """Whether every critical expectation holds."""
        return not self.failed

    @property
    def warnings(self) -> list[str]:
        """One line for each expectation that failed and is no reason to stop, and for what was not looked at."""
        failed = [c for c in self.checks if not c.success and c.severity != "critical"]
        return [f"{check} ({check.description})" for check in failed] + self.notes

    def raise_if_failed(self) -> None:
        """Raise ValidationFailedError with one line that names the first failure and counts the others."""
        if self.success:
            return
        first, *others = self.failed
        more = f"; {len(others)} more failed: {', '.join(map(str, others[:3]))}" if others else ""
        more += ", ..." if len(others) > 3 else ""
        docs = f"; see {self.docs_path}" if self.docs_path else ""
        raise ValidationFailedError(f"validation failed, nothing is published: {first}{more}{docs}")

    def __str__(self) -> str:
        holding = sum(check.success for check in self.checks)
        warned = len([check for check in self.checks if not check.success and check.severity != "critical"])
        return (
            f"{holding} of {len(self.checks)} expectations hold, {len(self.failed)} failed, {warned} warned "
            f"in {self.duration_seconds:.1f} s{self._where}"
        )

    @property
    def _where(self) -> str:
        """Which suites ran where; nothing when all did where the models were built."""
        if self.engine == "DuckDB":
            return ""
        suites = ", ".join(dict.fromkeys(check.layer for check in self.checks))
        tests = f"{self.data_tests} tests of dbt held" if self.data_tests else "no test of dbt was asked for"
        return f"; suites {suites} ran in DuckDB on what {self.engine} built, where {tests}"
