"""etcd, by which several Patroni agree who leads."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stack.host.os_user import OsUser
from stack.host.pages import open_page
from stack.host.process import Command
from stack.host.programs import Say, provided, servers_dir
from stack.servers.postgres import LOOPBACK

PACKAGES = ("etcd-server",)
TIMEOUT_S = 2
_ETCD = "usr/bin/etcd"


class Member(NamedTuple):
    """One etcd. peer_port: for the others; client_port: for Patroni."""

    name: str
    peer_port: int
    client_port: int

    @property
    def peer_url(self) -> str:
        return f"http://{LOOPBACK}:{self.peer_port}"

    @property
    def client_url(self) -> str:
        return f"http://{LOOPBACK}:{self.client_port}"

    def is_healthy(self) -> bool:
        """Return whether it answers, and knows a leader."""
        try:
            with open_page(f"{self.client_url}/health", TIMEOUT_S) as answer:
                return json.load(answer)["health"] == "true"
        except (OSError, ValueError):
            return False

    def leads(self) -> bool:
        """Return whether it leads the others. Raises OSError where it does not answer."""
        url = f"{self.client_url}/v3/maintenance/status"
        request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
        with open_page(request, TIMEOUT_S) as answer:
            said = json.load(answer)
        return said["leader"] == said["header"]["member_id"]


def etcd_program(folder: Path | None = None, say: Say = print) -> Path:
    """Return etcd of the system, else a private copy of Debian's."""
    return provided((folder or servers_dir()) / "etcd", PACKAGES, _found, say)


def _found(roots: Sequence[Path]) -> Path | None:
    return next((root / _ETCD for root in roots if (root / _ETCD).exists()), None)


def members(ports: Mapping[str, int], count: int) -> Sequence[Member]:
    """Return the members by their ports, which `port_names` names."""
    names = [f"etcd-{number}" for number in range(1, count + 1)]
    return [Member(name, ports[f"{name} peer"], ports[name]) for name in names]


def port_names(count: int) -> Sequence[str]:
    return [f"etcd-{number}{what}" for number in range(1, count + 1) for what in ("", " peer")]


def commands(
    program: Path,
    home: Path,
    all_members: Sequence[Member],
    log: Callable[[str], Path],
    user: OsUser | None,
) -> Sequence[Command]:
    """Return what runs each member; its data is below `home`."""
    whole = ",".join(f"{one.name}={one.peer_url}" for one in all_members)
    return [
        Command(
            name=one.name,
            argv=[
                str(program),
                f"--name={one.name}",
                f"--data-dir={home / one.name}",
                f"--listen-client-urls={one.client_url}",
                f"--advertise-client-urls={one.client_url}",
                f"--listen-peer-urls={one.peer_url}",
                f"--initial-advertise-peer-urls={one.peer_url}",
                f"--initial-cluster={whole}",
                "--log-level=warn",
            ],
            log=log(one.name),
            identity=user,
            cwd=home,
            # All end at once: one that leads would look for a successor. What is agreed is on disk.
            stop_signals=[(signal.SIGTERM, 2.0)],
            death_signal=signal.SIGKILL,
        )
        for one in all_members
    ]
