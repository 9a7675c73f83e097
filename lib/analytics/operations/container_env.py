"""`.env` for the containers: every password random, readable by its owner only, never overwritten."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from analytics.common.files import partial_file
from analytics.errors import AnalyticsError
from analytics.settings import PROJECT_ROOT


def write_env(path: Path = PROJECT_ROOT / ".env") -> list[str]:
    """Make `path`, or add to it what the containers need and it does not have.

    A line that is there, also one that is commented in by hand, is never changed.

    Returns: names of the variables written.

    Raises:
        AnalyticsError: the file cannot be written.
    """
    from dotenv import dotenv_values

    existing = dotenv_values(path, interpolate=False) if path.exists() else {}
    wanted = _values({name: value for name, value in existing.items() if value}, path.parent)
    missing = {name: value for name, value in wanted.items() if not existing.get(name)}
    try:
        if missing:
            _append(path, missing)
        path.chmod(0o600)
        # Folders that do not exist would be made by Docker, as root.
        for name in ("HOST_DATA_DIR", "HOST_CLAUDE_PROJECTS_DIR"):
            _make_folder(Path(wanted[name]), int(wanted["HOST_UID"]), int(wanted["HOST_GID"]))
        _make_folder(Path(wanted["HOST_DATA_DIR"]) / "serving", int(wanted["HOST_UID"]), int(wanted["HOST_GID"]))
    except ValueError:
        raise AnalyticsError(f"{path}: HOST_UID and HOST_GID must be numbers") from None
    except OSError as error:
        raise AnalyticsError(f"{path} cannot be written: {error.strerror}") from None
    return list(missing)


def _make_folder(folder: Path, uid: int, gid: int) -> None:
    if folder.exists():
        return
    folder.mkdir(parents=True, mode=0o700)
    if os.getuid() == 0:
        os.chown(folder, uid, gid)


def _append(path: Path, values: dict[str, str]) -> None:
    text = path.read_text() if path.exists() else "# Settings; .env.example lists all of them.\n"
    if text and not text.endswith("\n"):
        text += "\n"
    text += "\n# Written by `make env` for the containers. Keep this file to yourself.\n"
    text += "".join(f"{name}={value}\n" for name, value in values.items())
    with partial_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(text)


def _values(existing: dict[str, str], root: Path) -> dict[str, str]:
    """What docker-compose.yml and Metabase's provisioning ask for. Only letters and digits in secrets: they go
    through shells, URIs and YAML."""
    values = {
        "METABASE_ADMIN_EMAIL": "admin@localhost.localdomain",
        # Metabase wants a digit, upper and lower case.
        "METABASE_ADMIN_PASSWORD": f"{_secret()}aA1",
        "METABASE_DB_PASSWORD": _secret(),
        "METABASE_ENCRYPTION_SECRET_KEY": _secret(40),
        "MONGO_ROOT_PASSWORD": _secret(),
        "MONGO_READER_PASSWORD": _secret(),
        "MONGO_WRITER_PASSWORD": _secret(),
        "JUPYTER_TOKEN": _secret(),
        # Files that the containers write belong to you.
        "HOST_UID": str(os.getuid() or 1000),
        "HOST_GID": str(os.getgid() or 1000),
        # One absolute path on both sides: the views in serving.duckdb name their files by it.
        "HOST_DATA_DIR": str(root.absolute() / "data"),
        "HOST_CLAUDE_PROJECTS_DIR": str(Path("~/.claude/projects").expanduser()),
    }
    values = {name: existing.get(name, value) for name, value in values.items()}
    # What the scheduler reads from in `make up`: the user of docker/mongo-init.js that may only read.
    database = existing.get("MONGO_DB", "claude_logs")
    password = values["MONGO_READER_PASSWORD"]
    uri = f"mongodb://claude_reader:{password}@mongo:27017/{database}?authSource={database}"
    values["CONTAINER_MONGO_URI"] = existing.get("CONTAINER_MONGO_URI", uri)
    return values


def _secret(size: int = 32) -> str:
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(size))
