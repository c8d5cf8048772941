"""`opsc up` as a process of its own, to be killed, stopped and started on the same ports.

up = Up(data_dir)
up.start()
await up.ready()
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from stack.errors import StackError
from stack.host.process import last_lines
from stack.servers.postgres import free_port
from stack.servers.runtime import StackInfo, read_stack

READY_S = 120.0
STOP_S = 150.0
_ANY_PORT = 0
_POLL_S = 0.1
_OPSC = Path(sys.executable).with_name("opsc")


class Up:
    """One `opsc up`, started anew at will. Its output is in its data folder, as its logs are.

    info: what it said last of where everything is.
    """

    info: StackInfo

    def __init__(self, data: Path) -> None:
        self._data = data
        self._log = data / "log" / "up.log"
        self._ports = {
            name: str(free_port(_ANY_PORT)) for name in ("OPSC_API_PORT", "OPSC_LISTEN_PORT")
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return at once; it is ready some seconds later."""
        self._log.parent.mkdir(mode=0o711, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_OPSC, "up", "--data", str(self._data)],
                env={**os.environ, **self._ports},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Return once it runs and ingest is the owner. Raises StackError."""
        deadline = time.monotonic() + READY_S
        while not await asyncio.to_thread(self.is_ready):
            if self._process is None or self._process.poll() is not None:
                raise StackError(f"opsc up ended: {last_lines(self._log)}")
            if time.monotonic() > deadline:
                raise StackError(f"opsc up is not ready: {last_lines(self._log)}")
            await asyncio.sleep(_POLL_S)

    def is_ready(self) -> bool:
        """Return whether this process has said where everything is, and ingest is the owner."""
        assert self._process is not None
        try:
            info = read_stack(self._data)
        except StackError:
            return False
        if info.pid != self._process.pid:
            return False
        self.info = info
        page = (info.parts["ingest"].metrics_url or "").removesuffix("/metrics")
        try:
            with urllib.request.urlopen(f"{page}/readyz", timeout=2) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """Send SIGKILL to the supervisor alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def stop(self) -> float:
        """End it in order; return after how many seconds. Raises StackError if it does not end."""
        assert self._process is not None
        began = time.monotonic()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise StackError(f"opsc up did not end within {STOP_S:g} s") from None
        return time.monotonic() - began
