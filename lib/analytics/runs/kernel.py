"""The IPython kernel of a run: a process of this Python, whatever kernel an editor has saved in a notebook.

What a library does to that process, up to aborting it, never reaches the run, which still has to record and tell it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from traitlets import Type

from analytics.settings import PROJECT_ROOT

# A Unix socket's path has at most 103 bytes (macOS), and `/kernel-ipc-5` comes after the folder.
_LONGEST_FOLDER = 90

# Much longer than a kernel needs: what is waited for here is a machine that has something else to do.
STARTUP_SECONDS = 180

# After so long a client tries again to reach a kernel that does not listen yet.
_RECONNECT_MS = 10
# So long after its answer a kernel may be silent for a client that does not hear yet what it publishes.
_PUBLISHED_SECONDS = 0.2


class Kernel:
    """A kernel process of this Python. Starting it returns at once: it gets ready while the caller goes on."""

    def __init__(self, log: Path, preload: Sequence[str] = ()) -> None:
        """`log` takes what the process prints outside of notebooks, as when it crashes; `preload` are modules that it
        imports while nobody waits for it.

        Raises:
            OSError: `log` or a temporary folder cannot be written, or no process can be started.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="analytics-kernel-"))
        self.manager = _Manager(connection_file=str(self._folder / "kernel.json"))
        if len(str(self._folder)) < _LONGEST_FOLDER:
            self.manager.transport = "ipc"
        self.client: AsyncKernelClient | None = None
        try:
            self._start(log, preload)
        except BaseException:
            self.kill()
            raise

    def _start(self, log: Path, preload: Sequence[str]) -> None:
        outside = os.dup(2)
        try:
            with log.open("ab") as stream:
                run_sync(self.manager.start_kernel)(
                    extra_arguments=[str(outside), *preload],
                    cwd=str(PROJECT_ROOT),
                    # nobody's own start-up files: a run depends on the repository and the settings alone
                    env={**os.environ, "IPYTHONDIR": str(self._folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    pass_fds=(outside,),
                )
        finally:
            os.close(outside)

    def connect(self) -> AsyncKernelClient:
        """The kernel's client, once the kernel is ready.

        Raises:
            RuntimeError: it ended instead, or does not answer.
        """
        if self.client is None:
            client = self.manager.client()
            client.start_channels()
            client.allow_stdin = False
            try:
                run_sync(client.wait_for_ready)(timeout=STARTUP_SECONDS)
            except BaseException:
                client.stop_channels()
                raise
            self.client = client
        return self.client

    @property
    def _process(self) -> Any:
        return getattr(self.manager.provisioner, "process", None)

    @property
    def pid(self) -> int:
        """The kernel's process."""
        return int(self._process.pid)

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended."""
        return not self.manager.has_kernel or self._process.poll() is not None

    def how_it_died(self) -> str:
        """A few words on what ended the process."""
        code = self._process.returncode if self.manager.has_kernel else None
        if code is None or code >= 0:
            return f"the kernel ended by itself{f' with exit code {code}' if code else ''}"
        name = signal.Signals(-code).name
        reason = {
            "SIGKILL": "somebody, or the system when memory ran out, killed the kernel",
            "SIGABRT": "a library aborted the kernel",
            "SIGSEGV": "a library crashed the kernel",
        }.get(name, "a signal ended the kernel")
        return f"{reason} ({name})"

    def kill(self) -> None:
        """End the kernel now, whatever it does; safe to call again.

        After the last notebook as well: it has nothing left to do, and to free what it imported takes seconds.
        """
        if self.client is not None:
            self.client.stop_channels()
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Client(AsyncKernelClient):
    """Jupyter's client, which is ready as soon as the kernel is.

    Jupyter's own waits a fifth of a second for messages that it throws away (whoever executes cells looks only at
    those that answer it), and when a kernel is not there yet, tries again ten times a second.
    """

    def start_channels(self, *channels: bool, **options: bool) -> None:
        """Connect to the kernel, which may not listen yet."""
        self.context.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        super().start_channels(*channels, **options)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers, and what it publishes is heard.

        Raises:
            RuntimeError: it has ended, or does not answer within `timeout` seconds.
        """
        deadline = time.monotonic() + (timeout or float("inf"))
        while True:
            self.kernel_info()
            with contextlib.suppress(Empty):
                reply = await self.shell_channel.get_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await self.iopub_channel.get_msg(timeout=_PUBLISHED_SECONDS)
                    self._handle_kernel_info_reply(reply)
                    return
            if not await self.is_alive():
                raise RuntimeError("the kernel ended before it answered")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the kernel did not answer in {timeout} seconds")


class _Manager(AsyncKernelManager):
    """Starts this Python with `kernel_process`, not the kernel of some name."""

    client_factory = Type(_Client)

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the process is started."""
        return KernelSpec(
            argv=[sys.executable, "-m", "analytics.runs.kernel_process", "-f", "{connection_file}"],
            display_name="Claude Code analytics",
            language="python",
        )
