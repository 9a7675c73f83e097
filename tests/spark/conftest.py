"""Spark on this machine, small; without Java, or Spark itself, these tests are skipped with one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from analytics.errors import AnalyticsError
from analytics.settings import Settings, load_settings
from analytics.spark import jars


@pytest.fixture(scope="session", autouse=True)
def _spark_is_there() -> None:
    pytest.importorskip("pyspark", reason="Spark is not tested: run `make setup-spark`")
    try:
        jars.require_java()
        jars.present()
    except AnalyticsError as error:
        pytest.skip(f"Spark is not tested: {error}")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A workspace of its own, on two cores."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    values = {
        "DATA_DIR": str(tmp_path / "data"),
        "SOURCE": "jsonl",
        "CLAUDE_PROJECTS_DIR": str(tmp_path / "projects"),
        # nothing is compiled for a few hundred rows: a build is three times as quick
        "SPARK_CONF": "spark.master=local[2];spark.driver.memory=2g;spark.sql.shuffle.partitions=1;"
        "spark.ui.enabled=false;spark.ui.showConsoleProgress=false;spark.driver.host=127.0.0.1;"
        "spark.driver.bindAddress=127.0.0.1;spark.sql.adaptive.enabled=false;spark.sql.codegen.wholeStage=false;"
        "spark.sql.codegen.factoryMode=NO_CODEGEN;spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()
