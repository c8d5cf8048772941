"""Several processes behind one set of ports: started, started again, and restarted in turn.

The parent binds the ports and serves nothing. A process that ends is started again. SIGHUP restarts
all of them, one after the other, so that devices which one sends away find the others: each closes
its connections a few at a time, and the next one's turn comes when its successor is ready. The turn
ends at a process that does not become ready: what is wrong with it takes no other.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from listener.settings import ListenSettings

SOCKETS = "_OPSC_LISTEN_SOCKETS"
NUMBER = "_OPSC_LISTEN_NUMBER"
"""How a process is told the ports that it inherits, and which of the processes it is."""
RESTART_S = 1.0
STOP_S = 19.0
"""An orderly stop takes 17.5 s at most."""
READY_S = 60.0
LOOK_S = 0.1
ANSWER_S = 2.0

_log = structlog.get_logger("listener")


class ListeningSockets(NamedTuple):
    """The sockets of ports; None where a port is not wanted. boxes: in the order of
    `ListenSettings.boxes`.
    """

    plain: socket.socket | None
    tls: socket.socket | None
    tls12: socket.socket | None
    ingest: socket.socket | None
    boxes: Sequence[socket.socket]


class Processes:
    """The processes that serve the ports."""

    def __init__(self, settings: ListenSettings, ports: ListeningSockets) -> None:
        self._settings = settings
        self._ports = ports
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._sent_away: asyncio.subprocess.Process | None = None

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Return the exit code."""
        return asyncio.run(self._run())

    async def _run(self) -> int:
        loop, stopping, restart = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, stopping.set)
        loop.add_signal_handler(signal.SIGHUP, restart.set)
        watching = [
            asyncio.create_task(self._keep(number, stopping))
            for number in range(self._settings.listen_processes)
        ]
        restarting = asyncio.create_task(self._restart_in_turn(restart))
        await stopping.wait()
        restarting.cancel()
        for child in self._running():
            child.terminate()
        await asyncio.wait(watching, timeout=STOP_S)
        for child in self._running():
            child.kill()
        return 0

    def _running(self) -> list[asyncio.subprocess.Process]:
        return [child for child in self._children.values() if child.returncode is None]

    async def _keep(self, number: int, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                child = self._children[number] = await self._start(number)
            except OSError as error:
                _log.error("a listener process cannot be started", number=number, error=str(error))
                await asyncio.sleep(RESTART_S)
                continue
            code = await child.wait()
            if not stopping.is_set() and child is not self._sent_away:
                _log.error("a listener process ended", number=number, exit_code=code)
                await asyncio.sleep(RESTART_S)

    async def _start(self, number: int) -> asyncio.subprocess.Process:
        """Start one. Nothing is written to its stdin, which ends when this process does."""
        *ports, boxes = self._ports
        handles = [None if port is None else port.fileno() for port in (*ports, *boxes)]
        text = " ".join("-" if handle is None else str(handle) for handle in handles)
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "listener"),
            stdin=subprocess.PIPE,
            env={**os.environ, SOCKETS: text, NUMBER: str(number)},
            pass_fds=[handle for handle in handles if handle is not None],
        )

    async def _restart_in_turn(self, wanted: asyncio.Event) -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            if await self._restart_all():
                _log.info("all listener processes restarted")

    async def _restart_all(self) -> bool:
        for number in range(self._settings.listen_processes):
            before = self._children.get(number)
            if before is not None and before.returncode is None:
                await self._end(before)
            if not await self._becomes_ready(number, before):
                _log.error("a listener process is not ready, the others stay", number=number)
                return False
        return True

    async def _becomes_ready(self, number: int, before: asyncio.subprocess.Process | None) -> bool:
        """Wait for the successor of a process. False where it ends, or takes too long."""
        clock, made = asyncio.get_running_loop(), before
        due_s = clock.time() + READY_S
        while clock.time() < due_s:
            child = self._children.get(number)
            if made is before:
                made = child
            elif child is not made:
                return False
            elif await self._is_ready(number):
                return True
            await asyncio.sleep(LOOK_S)
        return False

    async def _end(self, child: asyncio.subprocess.Process) -> None:
        """End a process in order; `_keep` starts the next one."""
        self._sent_away = child
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), STOP_S)
        except TimeoutError:
            child.kill()
            await child.wait()

    async def _is_ready(self, number: int) -> bool:
        """Return whether the page of a process says so."""
        host, port = self._settings.http_address
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection(host, port + number)
                writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
                status = await reader.readline()
            writer.close()
        except (OSError, TimeoutError):
            return False
        return b" 200 " in status
