"""dbt's tests on Spark: data tests on the tables it built, unit tests on what they give and expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlglot import exp

from analytics.errors import AnalyticsError
from analytics.spark import tasks
from analytics.spark.dialect import Relation, parsed, to_spark
from analytics.spark.raw_tables import Prepared
from analytics.spark.session import told_for
from analytics.spark.types import signed

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

# What a unit test calls the rows it gives; models that read documents run in tasks.
_GIVEN = "__dbt__cte__"
_GIVEN_DOCUMENTS = f"{_GIVEN}raw__new_documents"


@dataclass
class Tested:
    """What dbt's tests found."""

    held: int = 0
    failed: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)  # data tests of severity `warn` that found rows

    def raise_if_failed(self) -> None:
        """Raises AnalyticsError naming the first test that failed."""
        if self.failed:
            more = f" (and {len(self.failed) - 1} more failed)" if len(self.failed) > 1 else ""
            raise AnalyticsError(f"dbt test failed on Spark: {self.failed[0]}{more}")


def run_tests(spark: SparkSession, ready: Prepared, relation: Relation, starting: Callable[[str], None]) -> Tested:
    """Run every data test and every unit test.

    Args:
        relation: Spark's name of each table.
        starting: told each test's name before it runs.

    Raises:
        UntranslatableError: a test holds what is not known to mean the same on Spark.
        AnalyticsError: Spark cannot run one.
    """
    tested = Tested()
    for test in ready.compiled.tests:
        starting(test.name)
        with told_for(f"test {test.name}"):
            found = spark.sql(to_spark(test.sql, relation, model=test.name)).limit(1000).count()
        if not found:
            tested.held += 1
        elif test.severity == "error":
            tested.failed.append(f"{test.name}: {found} rows")
        else:
            tested.warned.append(f"{test.name}: {found} rows on Spark")
    for name, sql in ready.unit_tests.items():
        starting(name)
        with told_for(f"unit test {name}"):
            difference = _difference(_rows(spark, ready, relation, name, sql))
        if difference:
            tested.failed.append(f"unit test {name}: {difference}")
        else:
            tested.held += 1
    return tested


def _rows(spark: SparkSession, ready: Prepared, relation: Relation, name: str, sql: str) -> list[Row]:
    if _GIVEN_DOCUMENTS not in sql:
        tree = parsed(sql, model=name)
        _lay_given(spark, ready, relation, name, tree)
        return spark.sql(to_spark(tree, relation, model=name)).collect()
    from pyspark.sql.pandas.types import from_arrow_schema

    # the same DuckDB SQL, in a task: a unit test brings its documents along
    schema = signed(ready.connection.execute(sql).to_arrow_table().schema)
    return spark.range(1).mapInArrow(tasks.duckdb_in_task(sql, schema), from_arrow_schema(schema)).collect()


def _lay_given(spark: SparkSession, ready: Prepared, relation: Relation, name: str, tree: exp.Expr) -> None:
    """Make views of the rows a test gives, which are constants: a hundred columns of casts for each row, read again
    wherever the model reads them, would be most of the work."""
    from pyspark.sql.pandas.types import from_arrow_schema

    for given in list(tree.find_all(exp.CTE)):
        if not given.alias.startswith(_GIVEN):
            continue
        query = given.this.sql("duckdb")
        if "hash(" in query.lower():  # it is the engine's own, and the model makes the same
            said = spark.sql(to_spark(given.this.copy(), relation, model=name))
            frame = spark.createDataFrame(said.collect(), schema=said.schema)
        else:
            rows = ready.connection.execute(query).to_arrow_table()
            rows = rows.cast(signed(rows.schema))
            frame = spark.createDataFrame(rows if rows.num_rows else [], schema=from_arrow_schema(rows.schema))
        frame.createOrReplaceTempView(given.alias)
        others = given.parent
        given.pop()
        if isinstance(others, exp.With) and not others.expressions:
            others.pop()


def _difference(rows: list[Row]) -> str:
    """How what came out differs from what was expected; empty when it does not."""
    sides: dict[str, Counter[str]] = {"actual": Counter(), "expected": Counter()}
    for row in rows:
        values = row.asDict(recursive=True)
        sides[values.pop("actual_or_expected")][repr(values)] += 1
    only = [f"{side} {next(iter(extra))}" for side, extra in _extras(sides["actual"], sides["expected"]) if extra]
    return "; ".join(only)


def _extras(actual: Counter[str], expected: Counter[str]) -> list[tuple[str, Counter[str]]]:
    return [("actual", actual - expected), ("expected", expected - actual)]
