"""A Spark session on the catalog that PyIceberg uses: local unless Spark is told otherwise.

What the results depend on is set here and nowhere else. Everything else is Spark's own configuration: the environment
(`SPARK_CONF`, `SPARK_REMOTE`), `spark-defaults.conf`, and for a catalog of one's own PyIceberg's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from analytics.common.process import environment
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.raw.catalog import CATALOG_NAME
from analytics.settings import Settings
from analytics.spark import jars

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CATALOG = CATALOG_NAME  # in a JDBC catalog tables are stored by catalog name: PyIceberg's is ours

# Results depend on these.
REQUIRED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, not null
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # else digits of a cost are cut without a word
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
}

# What a machine of its own does well with; anybody may say otherwise.
_LOCAL = {
    "spark.master": "local[*]",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}

_DEFAULTS = {
    "spark.app.name": "claude-analytics",
    # documents have up to 16 MB: a batch goes to Python as a whole
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
    # tables of dates and prices are tiny, and plans are long
    "spark.sql.adaptive.enabled": "true",
}


@contextmanager
def session(
    settings: Settings, catalog: Mapping[str, str], conf: Mapping[str, str] | None = None
) -> Iterator[SparkSession]:
    """A session that ends with the block.

    Args:
        catalog: properties of PyIceberg's catalog.
        conf: more settings of Spark's.

    Raises:
        ConfigError: Java or the extra `[spark]` is missing, or SPARK_CONF is wrong.
        AnalyticsError: Spark cannot start.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError("Spark is not installed: run `make setup-spark`") from None
    chosen = configuration(settings, catalog)
    if "SPARK_REMOTE" not in os.environ:
        jars.require_java()
    # a driver written in Python looks at this variable only; spark-submit, which we are not, knows the setting
    python = (_spark_defaults() | chosen).get("spark.pyspark.python")
    with environment({"PYSPARK_PYTHON": python or os.environ.get("PYSPARK_PYTHON") or sys.executable}):
        builder = SparkSession.builder
        for name, value in {**chosen, **(conf or {})}.items():
            builder = builder.config(name, value)
        try:
            spark = builder.getOrCreate()
        except Exception as error:
            said = "Java says why above" if "JAVA_GATEWAY_EXITED" in str(error) else first_line(error)
            raise AnalyticsError(
                f"Spark cannot start: {said}; SPARK_CONF, or spark-defaults.conf, may be wrong"
            ) from error
        try:
            yield spark
        finally:
            spark.stop()


def configuration(settings: Settings, catalog: Mapping[str, str]) -> dict[str, str]:
    """All `spark.*` settings of a session.

    Raises:
        ConfigError: SPARK_CONF is wrong, or asks for what results depend on.
    """
    own = parse(settings.spark_conf)
    for name, value in REQUIRED.items():
        if own.get(name, value) != value:
            raise ConfigError(f"SPARK_CONF: {name}={own[name]}: the numbers need {value}")
    elsewhere = _spark_defaults() | own
    defaults = {**_DEFAULTS, **catalog_configuration(catalog)}
    if "SPARK_REMOTE" not in os.environ:
        if "spark.master" not in elsewhere:
            defaults |= _LOCAL
        given = elsewhere.get("spark.jars", "")
        if "iceberg-spark" not in given + elsewhere.get("spark.jars.packages", ""):  # of a release's own, or ours
            own["spark.jars"] = ",".join([*filter(None, [given]), *(str(path) for path in jars.present())])
    return {**{name: value for name, value in defaults.items() if name not in elsewhere}, **own, **REQUIRED}


def parse(text: str | None) -> dict[str, str]:
    """`spark.a=1; spark.b=2` as a mapping.

    Raises:
        ConfigError: something in it is not a setting of Spark's.
    """
    found = {}
    for item in (text or "").replace("\n", ";").split(";"):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not name:
            continue
        if not equals or not name.startswith("spark."):
            raise ConfigError(f"SPARK_CONF: {item.strip()!r}: write spark.NAME=VALUE, several with ; between them")
        found[name] = value
    return found


def _spark_defaults() -> dict[str, str]:
    """The settings of spark-defaults.conf, which Spark reads itself."""
    folder = os.environ.get("SPARK_CONF_DIR") or (
        f"{os.environ['SPARK_HOME']}/conf" if os.environ.get("SPARK_HOME") else None
    )
    file = Path(folder or "") / "spark-defaults.conf"
    if folder is None or not file.exists():
        return {}
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.replace("=", " ", 1).split(None, 1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def catalog_configuration(properties: Mapping[str, str]) -> dict[str, str]:
    """Spark's settings for the catalog that PyIceberg opens with these properties.

    Raises:
        ConfigError: a kind of catalog whose settings in Spark are not known here: SPARK_CONF can give them.
    """
    prefix = f"spark.sql.catalog.{CATALOG}"
    found = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        prefix: "org.apache.iceberg.spark.SparkCatalog",
    }
    kind = properties.get("type") or ("rest" if str(properties.get("uri", "")).startswith("http") else "sql")
    if kind == "sql":
        given = _jdbc(properties["uri"])
    elif kind in ("rest", "hive", "glue"):
        given = {"type": kind} | {key: properties[key] for key in ("uri", "credential", "token") if key in properties}
    else:
        raise ConfigError(
            f"an Iceberg catalog of type {kind!r} is not known to Spark here: use sql, rest, hive or glue"
        )
    if "warehouse" in properties:
        given["warehouse"] = properties["warehouse"]
        if str(properties["warehouse"]).startswith(("s3:", "s3a:")):
            given |= _s3(properties)
    return found | {f"{prefix}.{key}": str(value) for key, value in given.items()}


def _s3(properties: Mapping[str, str]) -> dict[str, str]:
    """PyIceberg's settings of an S3-compatible store as Iceberg's own in Java (iceberg-aws-bundle has them)."""
    given = {key: value for key, value in properties.items() if key.startswith("s3.")}
    if region := given.pop("s3.region", properties.get("client.region")):
        given["client.region"] = region
    if "s3.endpoint" in given:  # as PyIceberg asks it: the bucket in the path, unless told otherwise
        virtual = str(given.pop("s3.force-virtual-addressing", "false")).lower() == "true"
        given["s3.path-style-access"] = str(not virtual).lower()
    return {"io-impl": "org.apache.iceberg.aws.s3.S3FileIO", **given}


def _jdbc(uri: str) -> dict[str, str]:
    """PyIceberg's SQL catalog as Spark's JDBC one: the same tables in the same database."""
    parts = urlsplit(uri)
    given = {"type": "jdbc", "jdbc.schema-version": "V1"}
    database = parts.scheme.partition("+")[0]
    if database == "sqlite":
        return given | {"uri": f"jdbc:sqlite:{unquote(parts.path.removeprefix('/'))}?busy_timeout=10000"}
    if database in ("postgresql", "postgres"):
        host = f"{parts.hostname or 'localhost'}{f':{parts.port}' if parts.port else ''}"
        given["uri"] = f"jdbc:postgresql://{host}{parts.path}"
        if parts.username:
            given["jdbc.user"] = unquote(parts.username)
        if parts.password:
            given["jdbc.password"] = unquote(parts.password)
        return given
    raise ConfigError(f"an Iceberg catalog in {database!r} is not known to Spark here: use sqlite or postgresql")


@contextmanager
def told_for(what: str) -> Iterator[None]:
    """Spark's errors as one line that names what failed."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        raise AnalyticsError(f"{what} failed on Spark: {first_line(error)}") from error
    except AnalyticsError:
        raise
    except Exception as error:
        if type(error).__module__.startswith("py4j"):
            raise AnalyticsError(f"{what} failed on Spark: {first_line(error)}") from error
        raise
