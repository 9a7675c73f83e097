"""The schedules in cron: a block between markers in the user's crontab, and the small script its lines call.

The script carries what cron does not know: the working folder (`.env` is read from there), the settings that were
given as environment variables when it was deployed, PATH, umask and the log. So crontab's own limits (about 1000
characters a line, `%` means newline, variables hold for every line below) never matter.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from analytics.common.files import partial_file
from analytics.common.text import one_line
from analytics.errors import AnalyticsError, ConfigError
from analytics.operations.schedules import Schedules
from analytics.settings import PROJECT_ROOT, Settings

LOG_BYTES = 2 * 2**20

# What else decides how a run behaves: PyIceberg's catalog settings and the usual ways to the outside.
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "LC_ALL", "TZ")

NO_CRON = "cron does not seem to be running: nothing will start by itself"


@dataclass(frozen=True)
class DeployResult:
    """What `deploy` did."""

    changed: bool
    names: tuple[str, ...]
    script: Path
    log: Path
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.names:
            return "schedules removed from the crontab" if self.changed else "no schedules were in the crontab"
        what = "written to the crontab" if self.changed else "already in the crontab"
        return f"{', '.join(self.names)} {what}; log: {self.log}"


def script_path(settings: Settings) -> Path:
    """The script that the crontab's lines call with a deployment's name."""
    return settings.data_dir / "cron" / "run"


def log_path(settings: Settings) -> Path:
    """What scheduled runs print; each run's own log is in its folder."""
    return settings.data_dir / "logs" / "cron.log"


def block(settings: Settings, schedules: Schedules) -> str:
    """The lines between the markers, markers included, each ending with a newline."""
    path = script_path(settings)
    begin, end = _markers()
    # In a crontab % is a newline; \% is a percent sign.
    script = shlex.quote(str(path)).replace("%", r"\%")
    lines = [f"{item.schedule} {script} {item.name}" for item in schedules.scheduled]
    return "".join(f"{line}\n" for line in (begin, *lines, end))


def script(
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    environment_file: Path | None = None,
    *,
    shown: bool = False,
) -> str:
    """The text of the script.

    `environment_file`, when given, is read by the script (see `environment`); else settings that cron would not see
    are written into it, none of them secret. `shown`: to be read, not run; a setting takes one line.

    Raises:
        ConfigError: a secret is only an environment variable: cron would not see it, and it does not belong here.
    """
    if environment_file is None:
        lines = _plain_variables(settings, environ)
        variables = "".join(f"export {one_line(line) if shown else line}\n" for line in lines)
    else:
        variables = f". {shlex.quote(str(environment_file))}\n"
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return f"""#!/bin/sh
# Written by `claude-analytics deploy`: runs the deployment named by the first argument. Write it anew the same way.
umask 077
cd {shlex.quote(str(PROJECT_ROOT))} || exit 1
export PATH={shlex.quote(path)}
{variables}exec {shlex.quote(sys.executable)} -m analytics.cli worker "$1" </dev/null \\
  >>{shlex.quote(str(log_path(settings)))} 2>&1
"""


def environment(environ: Mapping[str, str] = os.environ) -> str:
    """All settings that are environment variables, secrets included, as a text for `sh`: what a container's cron
    has to hand on. Keep it 0600, best in memory."""
    names = sorted(name for name in environ if _is_setting(name))
    return "".join(f"export {name}={shlex.quote(environ[name])}\n" for name in names)


def deploy(
    settings: Settings, schedules: Schedules, *, environment_file: Path | None = None, cron_follows: bool = False
) -> DeployResult:
    """Write the scheduled deployments into the crontab of this user; nothing changes when they are there already.

    `cron_follows`: cron is started afterwards, as in the container; that none runs now needs no warning.

    Raises:
        AnalyticsError: there is no cron, or the crontab cannot be read or written.
        ConfigError: as in `script`; or the block in the crontab was damaged by hand.
    """
    text = script(settings, environment_file=environment_file)
    before = _read_crontab()
    after = _with_block(before, os.fsencode(block(settings, schedules)))
    path, log = script_path(settings), log_path(settings)
    for folder in (path.parent, log.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    rewritten = not path.exists() or path.read_text() != text
    if rewritten:
        with partial_file(path) as temporary:
            temporary.write_text(text)
            temporary.chmod(0o700)
    if before != after:
        _write_crontab(after)
    return DeployResult(
        changed=rewritten or before != after,
        names=tuple(item.name for item in schedules.scheduled),
        script=path,
        log=log,
        warnings=() if cron_follows or _cron_is_running() else (NO_CRON,),
    )


def remove(settings: Settings) -> DeployResult:
    """Take our block out of the crontab; every other line stays as it is.

    Raises:
        AnalyticsError: there is no cron, or the crontab cannot be read or written.
    """
    before = _read_crontab()
    after = _with_block(before, b"")
    if before != after:
        _write_crontab(after)
    script_path(settings).unlink(missing_ok=True)
    return DeployResult(before != after, (), script_path(settings), log_path(settings))


def deployed(schedules: Schedules) -> set[str]:
    """Names of the deployments that stand in this user's crontab, in our block; none without cron."""
    try:
        text = _read_crontab()
    except AnalyticsError:
        return set()
    begin, end = _markers()
    _, found, rest = text.partition(os.fsencode(begin))
    inside = os.fsdecode(rest.partition(os.fsencode(end))[0]) if found else ""
    names = {line.split()[-1] for line in inside.splitlines() if line.strip()}
    return {item.name for item in schedules.scheduled} & names


def rotate_log(settings: Settings) -> None:
    """Set the log of scheduled runs aside when it has grown; one older one is kept."""
    path = log_path(settings)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))


def _markers() -> tuple[str, str]:
    """The block's first and last line; each checkout of the project has its own."""
    return (
        f"# >>> claude-analytics ({PROJECT_ROOT}): written by `claude-analytics deploy`, do not edit >>>",
        f"# <<< claude-analytics ({PROJECT_ROOT}) <<<",
    )


def _with_block(crontab: bytes, text: bytes) -> bytes:
    """`crontab` with our block replaced by `text`, at its place, or added at the end.

    Bytes: the user's other lines may be in any encoding, and stay as they are.
    """
    begin, end = map(os.fsencode, _markers())
    lines = crontab.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.rstrip(b"\n") == begin]
    ends = [number for number, line in enumerate(lines) if line.rstrip(b"\n") == end]
    if not starts and not ends:
        if not text:
            return crontab
        return crontab + (b"\n" if crontab and not crontab.endswith(b"\n") else b"") + text
    if len(starts) != 1 or len(ends) != 1 or ends[0] < starts[0]:
        raise ConfigError(
            "the lines of claude-analytics in your crontab are damaged (a first or last line is missing or twice); "
            f"remove what belongs to {PROJECT_ROOT} with `crontab -e` and deploy again"
        )
    return b"".join((*lines[: starts[0]], text, *lines[ends[0] + 1 :]))


def _crontab_command() -> str:
    found = shutil.which("crontab")
    if found is None:
        raise AnalyticsError(
            "there is no cron here (no `crontab` command): install it (Debian, Ubuntu: apt install cron), "
            "run `make worker-local` in the foreground, or use the scheduler of docker-compose.yml"
        )
    return found


def _read_crontab() -> bytes:
    done = subprocess.run([_crontab_command(), "-l"], capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    if b"no crontab for" in done.stderr.lower():
        return b""
    raise AnalyticsError(f"the crontab cannot be read: {_reason(done)}")


def _write_crontab(text: bytes) -> None:
    done = subprocess.run([_crontab_command(), "-"], input=text, capture_output=True, check=False)
    if done.returncode:
        raise AnalyticsError(f"the crontab cannot be written: {_reason(done)}")


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"crontab ended with exit code {done.returncode}"


def _cron_is_running() -> bool:
    """Whether a cron daemon is seen; where processes cannot be listed this way, assume so."""
    if not Path("/proc/self/comm").exists():
        return True
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().strip() in {"cron", "crond", "fcron", "systemd-cron"}:
                return True
        except OSError:
            continue
    return False


def _is_setting(name: str) -> bool:
    upper = name.upper()
    return (
        upper.lower() in Settings.model_fields
        or upper.startswith("PYICEBERG_")
        or name == "ANALYTICS_PROJECT_ROOT"
        or upper in _PASSED_ON
    )


def _plain_variables(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """`NAME=value`, quoted, of settings that come from the environment and that `.env` does not give cron as well."""
    file = {name.upper(): value for name, value in dotenv_values(PROJECT_ROOT / ".env").items()}
    found = {"DATA_DIR": str(settings.data_dir)}
    for name, value in environ.items():
        if not value or not _is_setting(name) or file.get(name.upper()) == value:
            continue
        field = name.lower()
        is_secret = isinstance(getattr(settings, field, None), SecretStr) or (
            name.upper().startswith("PYICEBERG_")
            and any(word in name.upper() for word in ("SECRET", "TOKEN", "PASSWORD", "CREDENTIAL", "ACCESS-KEY"))
        )
        if is_secret:
            raise ConfigError(
                f"{name.upper()} is only an environment variable of this shell, which cron does not see: "
                f"put it into {PROJECT_ROOT / '.env'} (mode 0600) and deploy again"
            )
        # Paths were made absolute: cron's working folder is another one.
        shown = getattr(settings, field, None)
        found[name.upper()] = str(shown) if isinstance(shown, Path) else value
    return [f"{name}={shlex.quote(value)}" for name, value in sorted(found.items())]
