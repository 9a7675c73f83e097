"""Build the image with what this machine knows of package indexes: `make image`.

    python docker/build.py ENGINE TAG [ARGUMENT ...]

ENGINE is docker or podman; further arguments are those of `ENGINE build`. HOST_UID and HOST_GID come from .env.

pip's index, proxy and certificates (from its configuration files and environment) and uv's (environment, uv.toml) are
handed to the one step that installs, as build secrets: an address with a password in it stays in no layer and no
history.
"""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parents[1]

# Where packages come from and how they are reached; nothing else of a configuration belongs into a build.
PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
UV_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def pip_configuration() -> dict[str, str]:
    """What pip is told by files and environment, by option (`index-url`); the environment wins."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[str, tuple[int, str]] = {}
    for line in lines:
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section, -1)
        if rank >= found.get(option, (0, ""))[0]:
            found[option] = rank, str(ast.literal_eval(value))
    return {option: value for option, (_, value) in found.items()}


def installer_variables(environ: Mapping[str, str], pip: Mapping[str, str], *, has_uv_toml: bool) -> dict[str, str]:
    """Environment of pip and uv in the build. uv does not read pip's configuration: an index only pip knows is told to
    uv as well, unless uv has one of its own."""
    variables = {f"PIP_{option.upper().replace('-', '_')}": pip[option] for option in PIP_OPTIONS if option in pip}
    uv = {
        name: value
        for name, value in environ.items()
        if value
        and (name in UV_VARIABLES or (name.startswith("UV_INDEX_") and name.endswith(("_USERNAME", "_PASSWORD"))))
    }
    if not has_uv_toml and not uv.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        told = {"UV_DEFAULT_INDEX": "index-url", "UV_INDEX": "extra-index-url", "UV_INSECURE_HOST": "trusted-host"}
        uv = {name: " ".join(pip[option].split()) for name, option in told.items() if pip.get(option)} | uv
    return variables | uv


def certificates(environ: Mapping[str, str], pip: Mapping[str, str]) -> Path | None:
    """The file with the certificate authorities this machine was told to trust; None: the usual ones."""
    told = [environ.get(name) for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    return next((Path(name) for name in (*told, pip.get("cert")) if name and Path(name).is_file()), None)


def uv_toml(environ: Mapping[str, str]) -> Path | None:
    """uv's configuration file of this user or machine."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = [Path(environ["UV_CONFIG_FILE"])] if environ.get("UV_CONFIG_FILE") else []
    return next((path for path in (*places, home / "uv/uv.toml", Path("/etc/uv/uv.toml")) if path.is_file()), None)


def main() -> int:
    engine, tag, *arguments = sys.argv[1:]
    pip, toml = pip_configuration(), uv_toml(os.environ)
    variables = installer_variables(os.environ, pip, has_uv_toml=toml is not None)
    with tempfile.TemporaryDirectory() as folder:
        installer = Path(folder) / "installer"
        installer.touch(mode=0o600)
        installer.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
        files = {"installer": installer, "ca": certificates(os.environ, pip), "uv.toml": toml}
        secrets = [f"--secret=id={name},src={path}" for name, path in files.items() if path]
        known = {**dotenv_values(ROOT / ".env"), **os.environ}
        owner = [f"--build-arg={name}={known[name]}" for name in ("HOST_UID", "HOST_GID") if known.get(name)]
        # predefined in every Dockerfile, and kept out of its history
        proxies = [f"--build-arg={name}" for name in PROXIES if os.environ.get(name)]
        # podman's own format knows no health checks
        form = ["--format=docker"] if Path(engine).name == "podman" else []
        command = [engine, "build", *form, "--tag", tag, *secrets, *owner, *proxies, *arguments, str(ROOT)]
        # without BuildKit docker knows no secrets
        return subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
