"""mosquitto as an unprivileged child on loopback, for measurements and for tests of an external
broker. The system itself has no broker.

Everybody may do everything. The queue that it keeps for a client has no bound in messages, as
docs/devices.md wants it.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stack.host.os_user import service_identity
from stack.host.process import Command, Process
from stack.host.programs import library_path, provided, servers_dir
from stack.servers.postgres import LOOPBACK, make_home, started, write_private

PROGRAM = "usr/sbin/mosquitto"
PACKAGES = ("mosquitto",)
MESSAGE_LIMIT_BYTES = 2 * 1024 * 1024
QUEUE_LIMIT_BYTES = 1024 * 1024 * 1024


class BrokerProgram(NamedTuple):
    """The mosquitto program, and the variables that it needs to start."""

    path: Path
    environment: Mapping[str, str]


def broker_program() -> BrokerProgram:
    """Return mosquitto of the system, else a private copy, beside that of PostgreSQL."""
    return provided(servers_dir() / "mosquitto", PACKAGES, _found)


def _found(roots: Sequence[Path]) -> BrokerProgram | None:
    root = next((root for root in roots if (root / PROGRAM).exists()), None)
    return None if root is None else BrokerProgram(root / PROGRAM, library_path(root))


class Mosquitto:
    """One MQTT broker below ``home``; `settings` of mosquitto.conf win over ours."""

    name = "broker"

    def __init__(
        self,
        program: BrokerProgram,
        home: Path,
        port: int,
        log: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port, self.home, self.log = port, home, log
        self._program = program
        self._identity = service_identity(owner_of=home)
        self._settings = settings or {}

    @property
    def url(self) -> str:
        return f"mqtt://{LOOPBACK}:{self.port}"

    def start(self) -> Process:
        make_home(self.home, self._identity)
        self.write("mosquitto.conf", self._configuration())
        return started(self._command(), self._is_ready)

    def write(self, name: str, text: str) -> Path:
        """Write a file that the broker reads; return its path."""
        write_private(self.home / name, text, self._identity)
        return self.home / name

    def _configuration(self) -> str:
        settings = {
            "listener": f"{self.port} {LOOPBACK}",
            "allow_anonymous": "true",
            "persistence": "true",
            "persistence_location": f"{self.home}/",
            "autosave_interval": "60",
            "max_queued_messages": "0",
            "max_queued_bytes": str(QUEUE_LIMIT_BYTES),
            "max_inflight_messages": "65534",
            "max_packet_size": str(MESSAGE_LIMIT_BYTES),
            "set_tcp_nodelay": "true",
            "sys_interval": "5",
            "log_dest": "stderr",
            "connection_messages": "false",
            **self._settings,
        }
        return "".join(f"{key} {value}\n" for key, value in settings.items())

    def _command(self) -> Command:
        return Command(
            name=self.name,
            argv=[str(self._program.path), "-c", str(self.home / "mosquitto.conf")],
            environment=self._program.environment,
            log=self.log,
            identity=self._identity,
            cwd=self.home,
            stop_signals=[(signal.SIGTERM, 20.0)],
            death_signal=signal.SIGTERM,
        )

    def _is_ready(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=2).close()
        except OSError:
            return False
        return True
