"""mongo-java-server, another server that speaks MongoDB's protocol, as a test or a benchmark starts and kills it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from mongo_server import Server

FOLDER = Path(__file__).parent / "servers"
TARGET = FOLDER / "target"


class JavaServer(Server):
    """The server in memory, which comes back empty, or with an H2 file as its storage."""

    def __init__(self, storage: Path | None) -> None:
        super().__init__(storage or Path())
        self.file = storage

    def start(self) -> None:
        command = ["java", "-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command += ["-cp", f"{TARGET}:{TARGET / 'jars'}/*", "Launcher", str(self.port)]
        self.process = subprocess.Popen([*command, *([str(self.file)] if self.file else [])], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        with self.client() as client:
            client.admin.command("ping")


def what_is_missing(folder: Path = FOLDER) -> str:
    """Fetch and compile the classes of the server in `folder`, once -> why that cannot be done here, or nothing."""
    missing = [program for program in ("java", "javac", "mvn") if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} missing"
    target = folder / "target"
    jars = target / "jars"
    if not jars.exists():
        command = ["mvn", "-q", "-B", "-f", str(folder / "pom.xml"), "dependency:copy-dependencies"]
        fetched = subprocess.run([*command, "-DoutputDirectory=target/partial"], capture_output=True, text=True)
        if fetched.returncode:
            shutil.rmtree(target / "partial", ignore_errors=True)
            lines = (fetched.stdout + fetched.stderr).strip().splitlines()
            return f"Maven cannot fetch one ({lines[0] if lines else ''})"
        (target / "partial").rename(jars)
    subprocess.run(["javac", "-d", target, "-cp", f"{jars}/*", folder / "Launcher.java"], check=True)
    return ""
