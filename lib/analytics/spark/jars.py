"""Spark's extensions (Iceberg, the catalogs' drivers): fetched by Maven into the environment, checked by SHA-256.

`python -m analytics.spark.jars`, which `make setup-spark` calls.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from analytics.errors import AnalyticsError, ConfigError

FOLDER = Path(sys.prefix) / "share" / "claude-analytics" / "jars"
_LOCK = Path(__file__).with_name("jars.lock")


def locked() -> dict[str, str]:
    """SHA-256 by Maven coordinates (`group:artifact:version`)."""
    lines = (line.split() for line in _LOCK.read_text().splitlines() if not line.startswith("#"))
    return {line[0]: line[1] for line in lines if line}


def path_of(coordinates: str) -> Path:
    """Where the jar lies in the environment."""
    _, artifact, version = coordinates.split(":")
    return FOLDER / f"{artifact}-{version}.jar"


def require_java() -> None:
    """Say so when Spark cannot start.

    Raises:
        ConfigError: no Java, or one older than 17.
    """
    if shutil.which("java") is None:
        raise ConfigError(
            "Spark needs Java 17 or newer, and there is no java on the PATH; Debian: openjdk-17-jre-headless"
        )
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    text = said.stderr + said.stdout
    found = re.search(r'version "(\d+)', text)
    if found is None or int(found[1]) < 17:
        raise ConfigError(f"Spark needs Java 17 or newer; java on the PATH says: {text.strip().splitlines()[0]}")


def present() -> list[Path]:
    """The jars.

    Raises:
        ConfigError: they have not been fetched.
    """
    paths = [path_of(coordinates) for coordinates in locked()]
    if missing := [path.name for path in paths if not path.exists()]:
        raise ConfigError(f"Spark's extensions are not installed ({', '.join(missing)}): run `make setup-spark`")
    return paths


def fetch() -> None:
    """Fetch what is missing.

    Raises:
        ConfigError: no Java or no Maven.
        AnalyticsError: Maven cannot fetch a jar, or it is not the one that is locked.
    """
    require_java()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for coordinates, checksum in locked().items():
        target = path_of(coordinates)
        if target.exists() and _sha256(target) == checksum:
            continue
        if shutil.which("mvn") is None:
            raise ConfigError("Maven fetches Spark's extensions, and there is no mvn on the PATH; Debian: maven")
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
            fetched = Path(folder) / target.name
            if done.returncode or not fetched.exists():
                said = (done.stdout + done.stderr).strip().splitlines()
                raise AnalyticsError(f"Maven cannot fetch {coordinates}: {said[0] if said else 'it did not say why'}")
            if _sha256(fetched) != checksum:
                raise AnalyticsError(f"{coordinates} is not the file that jars.lock names: its SHA-256 is another")
            fetched.rename(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        fetch()
    except AnalyticsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
