"""The port of each part, and who holds one that is taken.

A port that a setting names is taken or refused; a usual one gives way to a free one, which is noted
for `opsc up` to say.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stack.errors import StackError
from stack.servers.postgres import LOOPBACK, free_port

LISTENING = "0A"  # the state in /proc/net/tcp (proc_pid_net(5))


class PortTaken(StackError):
    """A port that a setting names cannot be had; carries the setting and the port."""

    def __init__(self, variable: str, port: int) -> None:
        self.variable, self.port = variable, port
        super().__init__(
            f"{variable}: port {port} {why_not(port)}; set {variable} to another port, or leave it"
            " out and a free one is taken"
        )


@dataclass
class Ports:
    """The ports of one system. moved: what is said of each usual port that was taken."""

    moved: list[str] = field(default_factory=list[str])
    _named: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])

    def claim(self, *variables: str) -> None:
        """Take what settings name, before anything is started. Raises PortTaken."""
        for variable in variables:
            if text := os.environ.get(variable):
                self._named[variable] = claimed(variable, text)

    def usual(self, part: str, port: int) -> int:
        """Return `port`, or a free one where it is taken."""
        given = free_port(port)
        if given != port:
            self.moved.append(f"port {port} {why_not(port)}: {part} has {given} instead")
        return given

    def address(self, part: str, variable: str, usual: int) -> tuple[str, int]:
        """Return host and port that `variable` names, else the usual port on loopback."""
        return self._named.get(variable) or (LOOPBACK, self.usual(part, usual))


def claimed(variable: str, text: str) -> tuple[str, int]:
    """Return host and port of PORT or HOST:PORT, ours until this process ends. Raises PortTaken."""
    host, _, digits = text.rpartition(":")
    if not digits.isdecimal() or not 0 < int(digits) < 65_536:
        raise StackError(f"{variable} must have a port number from 1 to 65535, not {text!r}")
    port = int(digits)
    if free_port(port) != port:
        raise PortTaken(variable, port)
    return host or LOOPBACK, port


def why_not(port: int) -> str:
    """Say why nothing of ours can listen on `port`."""
    if holder := holder_of(port):
        return f"is taken by {holder}"
    try:
        _try(port)
    except PermissionError:
        return "is not for ordinary users"
    except OSError:
        return "is taken by a process of another user"
    return "is taken by another opsc that starts just now"


def is_free(port: int) -> bool:
    """Return whether somebody could listen on `port` on loopback; it is not taken."""
    try:
        _try(port)
    except OSError:
        return False
    return True


def _try(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))


def holder_of(port: int) -> str | None:
    """Name and number of the process that listens on `port`; None where /proc does not say."""
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    if not wanted:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # of another user, or gone
            if any(os.readlink(handle) in wanted for handle in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _listening(port: int) -> Iterator[str]:
    """Yield the inodes of the sockets that listen on `port`, on whatever address."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                local, state, inode = columns[1], columns[3], columns[9]
                if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                    yield inode
