"""Settings. What would go wrong: a variable that works in the shell and is lost in `.env` or cron, a path that fails
half way through a run, and a password on a screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from analytics.errors import ConfigError
from analytics.settings import PROJECT_ROOT, Settings, load_settings, mask_uri

# Read by the product and no setting: what one of its processes tells another, and where the checkout is.
INTERNAL = {
    "ANALYTICS_PROJECT_ROOT",  # finds `.env`, so it cannot stand in it
    "JPY_PARENT_PID",
    "PYICEBERG_HOME",  # PyIceberg's own configuration
    *("PYSPARK_PYTHON", "SPARK_CONF_DIR", "SPARK_HOME", "SPARK_REMOTE"),  # Spark's own
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("analytics.settings.ENV_FILE", tmp_path / ".env")


def test_every_variable_that_is_read_is_a_setting() -> None:
    read = set()
    for path in (PROJECT_ROOT / "lib" / "analytics").rglob("*.py"):
        read |= set(re.findall(r"""environ(?:\.get\(|\[)["']([A-Z_]+)""", path.read_text()))
    assert read - INTERNAL <= {name.upper() for name in Settings.model_fields}


def test_the_environment_comes_before_the_env_file_and_what_is_empty_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = (
        "KEEP_RUNS=7",
        "export keep_versions='5'",
        "HERE=x # said",
        "MACHINE_NAME=${HERE}y",
        "SPARK_CONF=",
        "UNKNOWN=1",
    )
    (tmp_path / ".env").write_text("\n".join(lines))
    monkeypatch.setenv("KEEP_RUNS", "8")
    monkeypatch.setenv("Keep_Versions", "")
    monkeypatch.setenv("SOURCE", "")
    settings = load_settings(machine_name=None)
    assert (settings.keep_runs, settings.keep_versions, settings.machine_name) == (8, 5, "xy")
    assert (settings.spark_conf, settings.source) == (None, "jsonl")
    assert load_settings(keep_runs=9).keep_runs == 9
    monkeypatch.setenv("KEEP_RUNS", "many")
    with pytest.raises(ConfigError, match="KEEP_RUNS='many': input should be a valid integer"):
        load_settings()


def test_paths_are_the_checkouts_wherever_a_command_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().data_dir == PROJECT_ROOT / "data"
    assert load_settings(claude_projects_dir="here").projects_dirs == (PROJECT_ROOT / "here",)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings(data_dir="~/x").data_dir == tmp_path / "x"
    assert load_settings(data_dir="~no-such-user/x").data_dir == PROJECT_ROOT / "~no-such-user" / "x"


@pytest.mark.parametrize("char", ["#", "?", "{", "}", "*", "[", "\\", "\n"])
@pytest.mark.parametrize("name", ["data_dir", "duckdb_path"])
def test_a_path_that_cannot_work_is_refused_with_the_character(name: str, char: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"a path with {char!r} in it")) as raised:
        load_settings(**{name: f"/tmp/a{char}b"})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", ["/tmp/a b", "/tmp/it's", "/tmp/100%", "/tmp/%41", "/tmp/a&b", "/tmp/Müll"])
def test_any_other_path_is_taken(path: str) -> None:
    assert load_settings(data_dir=path).data_dir == Path(path)


@pytest.mark.parametrize("password", ["a/b", "a?b", "a#b", "a@b", "a:b", "a/b@c", "?#@/", "a@b:c/d", "a/b?c=d"])
def test_a_password_is_never_shown_however_badly_it_is_written(password: str) -> None:
    uri = f"mongodb://reader:canary{password}canary@localhost:27017/logs?tls=true"
    assert "canary" not in mask_uri(uri)
    with pytest.raises(ConfigError, match="%2F") as raised:
        load_settings(mongo_uri=uri)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://localhost", "mongodb://localhost"),
        ("mongodb://[::1]:27017/logs", "mongodb://[::1]:27017/logs"),
        ("mongodb://a:p%40q@one:1,two:2/logs?x=y@z", "mongodb://a:***@one:1,two:2/logs?***"),
        ("mongodb+srv://a:b@host.example", "mongodb+srv://a:***@host.example"),
        ("sqlite:////tmp/catalog.db", "sqlite:////tmp/catalog.db"),
        ("postgresql://a:b@host/db", "postgresql://a:***@host/db"),
    ],
)
def test_a_well_written_address_is_shown_but_for_its_password(uri: str, shown: str) -> None:
    assert mask_uri(uri) == shown
    if uri.startswith("mongodb"):
        load_settings(mongo_uri=uri)


def test_the_database_is_the_one_in_the_address() -> None:
    assert load_settings(mongo_uri="mongodb://h").mongo_db == "claude_logs"
    assert load_settings(mongo_uri="mongodb://h/logs?x=y").mongo_db == "logs"
    assert load_settings(mongo_uri="mongodb://h/logs", mongo_db="logs").mongo_db == "logs"
    assert load_settings(mongo_uri="mongodb://u:p@h/admin").mongo_db == "claude_logs"
    assert load_settings(mongo_uri="mongodb://u:p@h/admin", mongo_db="logs").mongo_db == "logs"
    with pytest.raises(ConfigError, match="MONGO_DB='other': the database in MONGO_URI is 'logs'"):
        load_settings(mongo_uri="mongodb://h/logs", mongo_db="other")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mongo_db", "a b"),
        ("mongo_db", "a.b"),
        ("mongo_db", "x" * 64),
        ("mongo_collection", "a$b"),
        ("mongo_collection", "system.x"),
        ("analytics_memory_limit", "much"),
    ],
)
def test_a_name_that_cannot_be_is_one_line(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name.upper()) as raised:
        load_settings(**{name: value})
    assert "\n" not in str(raised.value)
