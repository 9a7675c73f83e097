"""`extract` on the engine that is chosen: this process, or Spark's tasks, each with a part of what is new.

Tasks run the very code of the plain extract (`analytics.raw.staging`), which travels with the job: a worker needs the
packages that it imports, and reaches the source and the warehouse. They write Parquet files; this process commits all
of them at once, with the watermark.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import analytics
from analytics import errors
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.raw.extract import extract as extract_here
from analytics.raw.intake import ExtractResult, Intake, Taken
from analytics.raw.staging import Order
from analytics.settings import Settings
from analytics.sources.batch import Batch, Part
from analytics.spark.session import session

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pyspark.sql import SparkSession

# Spark keeps tasks and their results on local disks when memory is short: not as anybody could read them.
_CONF = {"spark.io.encryption.enabled": "true"}

# What a task raised, at the end of its traceback.
_RAISED = re.compile(r"Traceback \(most recent call last\):\n(?:\s.*\n)*([\w.]+)(?:: (.*))?")


def extract(
    settings: Settings,
    *,
    engine: str | None = None,
    full_backfill: bool = False,
    client: MongoClient[Any] | None = None,
    progress: bool | None = None,
) -> ExtractResult:
    """Store new documents; arguments as of `analytics.raw.extract.extract`, and:

    Args:
        engine: python or spark; default the setting EXTRACT_ENGINE.

    Raises:
        ConfigError: Spark is not installed, or a setting is wrong.
        SourceUnavailableError: the server cannot be reached or stays away.
        AnalyticsError: the warehouse cannot be written, or a task failed; one line.
    """
    if (engine or settings.extract_engine) == "python":
        return extract_here(settings, full_backfill=full_backfill, client=client, progress=progress)
    return extract_here(settings, full_backfill=full_backfill, client=client, progress=progress, intake=SparkIntake)


class SparkIntake(Intake):
    """An extract whose parts are read by tasks. What is a single part is read here: it is not worth a job."""

    def read(self, part: Part) -> Iterator[Batch]:
        """A batch for each part, without documents: what a task has made of them is there already."""
        parts = part.split()
        if len(parts) < 2:
            yield from super().read(part)
            return
        if "SPARK_REMOTE" in os.environ:
            raise ConfigError("extract on Spark needs a session of its own: unset SPARK_REMOTE, or leave --engine out")
        with session(self.settings, self.store.catalog.properties, _CONF) as spark:
            for taken in _taken(spark, Order.of(self), parts):
                batch = Batch()
                batch.taken, batch.bytes, batch.is_exact = taken, taken.bytes, taken.is_exact
                batch.bookmarks = taken.bookmarks
                yield batch


def _taken(spark: SparkSession, order: Order, parts: list[Part]) -> list[Taken]:
    """What the tasks made of `parts`, one task each."""
    with TemporaryDirectory(prefix="claude-analytics-") as folder:
        package = Path(analytics.__file__).parent
        code = shutil.make_archive(str(Path(folder) / "analytics"), "zip", package.parent, package.name)
        spark.sparkContext.addPyFile(code)
        try:
            return spark.sparkContext.parallelize(parts, len(parts)).map(order.take).collect()
        except Exception as error:
            raise _as_one_line(error) from error


def _as_one_line(error: Exception) -> AnalyticsError:
    """What a task said, which stands somewhere in what Spark says."""
    if found := _RAISED.search(str(error)):
        kind = getattr(errors, found[1].removeprefix("analytics.errors."), None)
        if kind is not None:
            return kind(found[2])
        return AnalyticsError(f"extract failed in a task of Spark: {found[1]}: {found[2]}")
    lines = [line for line in str(error).splitlines() if "Job aborted" in line]
    return AnalyticsError(f"extract failed on Spark: {lines[0] if lines else first_line(error)}")
