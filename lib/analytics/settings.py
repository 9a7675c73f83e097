"""One settings object, read from the environment and `.env`.

Precedence: explicit keyword > environment variable > the checkout's `.env` > default. Relative paths are the
checkout's, wherever a command or a notebook is started.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

# nobody's plugins: to look for some, every installed package's metadata is read
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from analytics.errors import ConfigError

# The repository root: notebooks, pipeline.yaml, dbt/ and gx/ live beside lib/. An editable install keeps this true.
PROJECT_ROOT = Path(os.environ.get("ANALYTICS_PROJECT_ROOT") or Path(__file__).resolve().parents[2])
ENV_FILE = PROJECT_ROOT / ".env"


class Settings(BaseModel):
    """Effective configuration. Field `x_y` is read from the variable `X_Y` (`load_settings`)."""

    model_config = ConfigDict(extra="ignore", frozen=True, validate_default=True)

    # Source
    mongo_uri: SecretStr | None = Field(None, description="MongoDB server")
    source: Literal["mongodb", "jsonl"] | None = Field(
        None, description="where documents come from; default: MongoDB if MONGO_URI is set"
    )
    mongo_db: str = Field("", description="database; default: the URI's, else claude_logs")
    mongo_collection: str = Field("conversations", min_length=1, description="collection")
    claude_projects_dir: str | None = Field(None, description="Claude Code's transcripts: one or several folders")
    claude_config_dir: Path | None = Field(None, description="Claude Code's own: its projects folder is looked into")
    xdg_config_home: Path = Field(Path("~/.config"), description="the desktop's own: the same")
    machine_name: str = Field(default_factory=socket.gethostname, min_length=1, description="written by sync")

    # State
    data_dir: Path = Field(Path("data"), description="all state lives under it")
    duckdb_path: Path | None = Field(None, description="published database; default DATA_DIR/analytics.db")
    keep_versions: int = Field(3, ge=1, description="published versions kept for rollback")

    # Extract
    extract_engine: Literal["python", "spark"] = Field("python", description="what reads documents that are new")
    extract_overlap_minutes: int = Field(10, ge=0, description="incremental reads start this long before the watermark")
    redact_secrets: bool = Field(True, description="replace high-confidence secrets before they reach Iceberg")
    snapshot_retention_days: int = Field(7, ge=0, description="Iceberg snapshots older than this are expired")
    keep_runs: int = Field(100, ge=1, description="run folders kept under DATA_DIR/runs")

    # What is shown
    plan_limit_5h_usd: float | None = Field(
        None, gt=0, description="USD of list price that your plan allows in five hours"
    )
    plan_limit_7d_usd: float | None = Field(None, gt=0, description="the same for seven days")
    show_text: bool = Field(True, description="false: no text or title of a conversation is shown")

    # Transform
    transform_engine: Literal["duckdb", "spark"] = Field("duckdb", description="what builds the models")
    dbt_target: str = Field("dev", min_length=1, description="dbt target")
    analytics_memory_limit: str | None = Field(None, description="what DuckDB may use while it builds, such as 1GB")
    analytics_tz: str = Field("UTC", description="IANA time zone that decides days and hours")
    pricing_overrides: Path | None = Field(None, description="CSV of your own prices, USD per million tokens")
    project_aliases: Path | None = Field(None, description="CSV (path, project) of what was moved or renamed")
    people: Path | None = Field(None, description="CSV (place, person): whose a machine or home folder is")

    # Spark
    spark_conf: str | None = Field(None, description="Spark's own: spark.NAME=VALUE, with ; between")

    # Metabase
    metabase_url: str = Field("http://localhost:3001", description="Metabase server")
    metabase_admin_email: str | None = Field(None, description="first admin, created by provisioning")
    metabase_admin_password: SecretStr | None = Field(None, description="no default on purpose")
    metabase_api_key: SecretStr | None = Field(None, description="instead of e-mail and password")
    metabase_database_path: str | None = Field(
        None, description="serving.duckdb as Metabase's container sees it; default: the local path"
    )

    analytics_url: str | None = Field(
        None,
        description="where browsers reach the pages, such as http://127.0.0.1:8889: Metabase's sessions link there",
    )

    # Alerts
    alert_webhook_url: SecretStr | None = Field(None, description="Slack-compatible; called on failure and recovery")
    alert_urls: SecretStr | None = Field(None, description="more places for alerts, as Apprise writes them")
    alert_command: str | None = Field(None, description="run on failure and recovery")

    # Terminal
    no_color: str | None = Field(None, description="set to anything: no bold and no colours in a terminal")

    @field_validator("claude_projects_dir", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("source")
    @classmethod
    def _where_documents_are(cls, value: str | None, info: ValidationInfo) -> str:
        uri = info.data.get("mongo_uri")
        if value == "mongodb" and uri is None:
            raise ValueError("set MONGO_URI too; without a server the transcript files are read (SOURCE=jsonl)")
        return value or ("jsonl" if uri is None else "mongodb")

    @field_validator(
        "data_dir",
        "duckdb_path",
        "pricing_overrides",
        "project_aliases",
        "people",
        "claude_config_dir",
        "xdg_config_home",
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else _in_checkout(value)

    @field_validator("data_dir", "duckdb_path")
    @classmethod
    def _usable(cls, value: Path | None) -> Path | None:
        # they end in addresses of SQLite and Iceberg, in papermill's format strings, in DuckDB's file
        # patterns, in lines of a crontab
        if found := re.search(r"[#?{}*\[\\\x00-\x1f\x7f]", str(value or "")):
            raise ValueError(f"a path with {found.group()!r} in it cannot work; choose another folder")
        return value

    @field_validator("mongo_db")
    @classmethod
    def _database(cls, value: str, info: ValidationInfo) -> str:
        uri = info.data.get("mongo_uri")
        named = _database_of(uri.get_secret_value()) if uri else ""
        if value and named not in ("", "admin", value):  # admin: where the user is known, not what is read
            raise ValueError(f"the database in MONGO_URI is {named!r}; name one, or the same in both")
        value = value or ("" if named == "admin" else named) or "claude_logs"
        if found := re.search(r'[/\\. "$*<>:|?\x00]', value):
            raise ValueError(f"a database's name cannot have {found.group()!r} in it")
        if len(value.encode()) > 63:
            raise ValueError("a database's name has at most 63 bytes")
        return value

    @field_validator("mongo_collection")
    @classmethod
    def _collection(cls, value: str) -> str:
        if "$" in value or "\0" in value or value.startswith((".", "system.")) or value.endswith("."):
            raise ValueError("a collection's name has no $, no NUL, no dot at an end, and no system. at its start")
        return value

    @field_validator("analytics_memory_limit")
    @classmethod
    def _amount(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\d+(\.\d+)? ?([KMGT]i?B|%)", value, re.IGNORECASE):
            raise ValueError("an amount of memory such as 512MB or 2GB")
        return value

    @field_validator("analytics_tz")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        if value != "UTC" and value not in available_timezones():  # the names are files: 11 ms of every command
            raise ValueError("not an IANA time zone name such as UTC, Europe/Berlin or Asia/Tokyo")
        return value

    @field_validator("analytics_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if not value:
            return None
        if not re.fullmatch(r"https?://[^\s/?#{}\"'<>]+(/[^\s?#{}\"'<>]*)?", value):
            raise ValueError("an address such as http://127.0.0.1:8889, without ? and #")
        return value.rstrip("/").removesuffix("/analytics")

    @field_validator("mongo_uri")
    @classmethod
    def _mongo_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        if value and not _is_readable(value.get_secret_value()):
            raise ValueError(
                "cannot be read: it is mongodb://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS, and in a user name or "
                "password / is written %2F, ? %3F, # %23, @ %40, : %3A, % %25"
            )
        return value

    @property
    def projects_dirs(self) -> tuple[Path, ...]:
        """The folders of CLAUDE_PROJECTS_DIR; without it, every place where Claude Code may keep transcripts."""
        if self.claude_projects_dir is not None:
            parts = [part for part in self.claude_projects_dir.split(os.pathsep) if part]
        else:
            parts = ["~/.claude/projects", f"{self.xdg_config_home}/claude/projects"]
            if self.claude_config_dir is not None:
                parts.insert(0, f"{self.claude_config_dir}/projects")
        return tuple(dict.fromkeys(_in_checkout(Path(part)) for part in parts))

    # Paths: everything the workspace writes, in one place.
    @property
    def published_path(self) -> Path:
        """The newest published database: a link that publish swaps atomically. Readers open it read-only."""
        return self.duckdb_path or self.data_dir / "analytics.db"

    @property
    def demo_marker(self) -> Path:
        """Exists when everything under DATA_DIR is a generated history."""
        return self.data_dir / ".demo"

    @property
    def is_demo(self) -> bool:
        """Whether the numbers are invented: said wherever they are shown."""
        return self.demo_marker.exists()

    @property
    def versions_dir(self) -> Path:
        """Immutable published database files, newest last by name."""
        return self.data_dir / "versions"

    @property
    def build_path(self) -> Path:
        """The working copy that load, transform and validate write; never read by others."""
        return self.data_dir / "build" / "analytics.db"

    @property
    def serving_dir(self) -> Path:
        """Marts as Parquet plus `serving.duckdb`, for readers that keep connections open."""
        return self.data_dir / "serving"

    @property
    def warehouse_dir(self) -> Path:
        """Default Iceberg warehouse and its SQLite catalog."""
        return self.data_dir / "iceberg"

    @property
    def former_storage_dir(self) -> Path:
        """Storage of the server that versions before 0.2 started themselves: a copy that nothing reads any more."""
        return self.data_dir / "mongo"

    @property
    def runs_dir(self) -> Path:
        """One folder per run: executed notebooks, log, run.json."""
        return self.data_dir / "runs"

    @property
    def data_docs_dir(self) -> Path:
        """Great Expectations data docs."""
        return self.data_dir / "data_docs"

    @property
    def lock_path(self) -> Path:
        """The run lock."""
        return self.data_dir / "run.lock"

    @cached_property
    def tz(self) -> ZoneInfo:
        """`ANALYTICS_TZ` as a zone."""
        return ZoneInfo(self.analytics_tz)

    def masked(self) -> dict[str, str]:
        """Effective values by variable name, secrets masked, fit to print."""
        shown = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name == "mongo_uri" and value is not None:
                value = mask_uri(value.get_secret_value())
            elif name == "duckdb_path":
                value = self.published_path
            shown[name.upper()] = "" if value is None else str(value)
        return shown


def mask_uri(uri: str) -> str:
    """`uri` with its password (and any query values) replaced, fit for logs and messages.

    Of one that is badly written nothing is shown that may belong to a password.
    """
    scheme, colon, rest = uri.partition("://")
    if not colon:
        return uri if "@" not in uri else "***"
    if _is_readable(uri):
        before, asked, _ = rest.partition("?")
        credentials, at, place = before.rpartition("@")
    else:
        credentials, at, place = rest.rpartition("@")
        place, asked, _ = place.partition("?")
    place = place.partition("#")[0]
    if not at:
        return f"{scheme}://{place}{'?***' if asked else ''}"
    user, has_password, _ = credentials.partition(":")
    shown = user if re.fullmatch(r"[\w.%+~-]*", user) else "***"
    return f"{scheme}://{shown}{':***' if has_password else ''}@{place}{'?***' if asked else ''}"


def _is_readable(uri: str) -> bool:
    """Whether nothing of the credentials can be taken for something else: no reserved character stands in them."""
    rest = uri.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    credentials, _, hosts = authority.rpartition("@")
    path = rest[len(authority) :].partition("?")[0]
    return (
        "#" not in rest
        and "@" not in credentials + path
        and credentials.count(":") <= 1
        and all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+)(:\d{1,5})?", host) for host in hosts.split(","))
    )


def _database_of(uri: str) -> str:
    """The database that a MongoDB URI names, or nothing."""
    return unquote(uri.partition("://")[2].partition("?")[0].partition("/")[2])


def _in_checkout(path: Path) -> Path:
    """`path` as an absolute one: `~` is the home folder, and a relative one stands in the checkout."""
    with contextlib.suppress(RuntimeError):  # no such user: a folder whose name begins like that
        path = path.expanduser()
    return Path(os.path.abspath(PROJECT_ROOT / path))


_SECRET_FIELDS = {"mongo_uri", "metabase_admin_password", "metabase_api_key", "alert_webhook_url", "alert_urls"}


def _written() -> dict[str, str]:
    """What `.env` and, over it, the environment say, by field name (pydantic-settings takes a fifth of a report)."""
    sources: list[Mapping[str, str | None]] = [os.environ]
    if ENV_FILE.exists():
        from dotenv import dotenv_values

        sources.insert(0, dotenv_values(ENV_FILE))
    return {name.lower(): value for source in sources for name, value in source.items() if value}


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`, `overrides` (field names, None = not given) winning.

    Raises:
        ConfigError: one line naming each wrong variable, its value (unless secret) and what is allowed.
    """
    try:
        return Settings(**{**_written(), **{k: v for k, v in overrides.items() if v is not None}})
    except ValidationError as error:
        problems = []
        for item in error.errors():
            field = str(item["loc"][0])
            value = "(hidden)" if field in _SECRET_FIELDS else repr(item["input"])
            reason = item["msg"].removeprefix("Value error, ")
            problems.append(f"{field.upper()}={value}: {reason[0].lower()}{reason[1:]}")
        raise ConfigError("; ".join(problems)) from None
