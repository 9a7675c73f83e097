"""`make dashboards`: a server of the pages alone, on this machine, and a browser at their first one."""

from __future__ import annotations

from pathlib import Path

from analytics.errors import ConfigError

DEFAULT_PORT = 8889


def serve(port: int = DEFAULT_PORT, *, open_browser: bool = True) -> None:
    """Serve the pages until interrupted.

    Args:
        port: on the loopback interface; the next free one is taken when it is in use.

    Raises:
        ConfigError: the port is no port.
    """
    from analytics.web.app import AnalyticsApp

    if not 0 <= port < 65536:
        raise ConfigError(f"PORT={port}: use a number from 1 to 65535")
    AnalyticsApp.launch_instance(  # type: ignore[no-untyped-call]
        argv=[
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            f"--ServerApp.open_browser={open_browser}",
            "--ServerApp.default_url=/analytics/",
            # nothing of the machine is served beside the pages: no files, no kernels, no terminals
            f"--ServerApp.root_dir={Path(__file__).parent / 'static'}",
            "--ServerApp.terminals_enabled=False",
            "--ServerApp.jpserver_extensions={}",
            "--ServerApp.log_level=WARN",
            # in a container the user may be root; the loopback interface and the token protect all the same
            "--ServerApp.allow_root=True",
        ]
    )
