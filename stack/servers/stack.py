"""The record of a system: its parts, addresses and secrets, while it starts and while it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from stack.host.os_user import RoleUser
from stack.servers.ports import Ports
from stack.servers.runtime import PartInfo, Secrets, StackInfo, write_stack
from stack.servers.supervisor import Say, Supervisor
from stack.servers.tls import Certificate


@dataclass(frozen=True)
class Variation:
    """The differences of a system from that of `opsc up`, for those who break it on purpose.

    has_ingest: else the caller starts its own, as `ingest_part` says. listener: settings of it.
    database_url: a superuser's, of the database that is used in place of one of its own.
    """

    has_ingest: bool = True
    listener: Mapping[str, str] = field(default_factory=dict[str, str])
    database_url: str | None = None


@dataclass
class Stack:
    """A system while it is being put together, and while it runs."""

    data_dir: Path
    say: Say
    secrets: Secrets
    supervisor: Supervisor = field(init=False)
    parts: dict[str, PartInfo] = field(default_factory=dict)
    api_url: str = ""
    broker_url: str = ""
    broker_tls_url: str | None = None
    ingest_url: str | None = None
    mail_folder: Path = field(init=False)  # of letters, unless a mail server sends them
    link_folder: Path = field(init=False)  # of the sockets by which the listener reaches ingest
    ends_with_it: ExitStack = field(default_factory=ExitStack)
    certificate: Certificate | None = None
    variation: Variation = field(default_factory=Variation)
    copies: int = 1  # of each role
    log_url: str | None = None  # of the log between listeners and ingest, where there is one
    ports: Ports = field(default_factory=Ports)
    role_user: RoleUser = field(default_factory=RoleUser)
    database: dict[str, str] = field(default_factory=dict)
    is_ready: bool = False

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.say, self._started)

    def info(self) -> StackInfo:
        return StackInfo(
            pid=os.getpid(),
            data_dir=str(self.data_dir),
            api_url=self.api_url,
            broker_url=self.broker_url,
            database=self.database,
            secret_key=self.secrets.secret_key,
            parts=self.parts,
            certificate=None if self.certificate is None else str(self.certificate.chain),
            broker_tls_url=self.broker_tls_url,
            ingest_url=self.ingest_url,
        )

    def log(self, part: str) -> Path:
        return self.data_dir / "log" / f"{part}.log"

    def publish(self) -> None:
        """Let other commands find the system."""
        self.is_ready = True
        write_stack(self.info())

    def _started(self, name: str, pid: int) -> None:
        """Note the process of a part, also when the part was started again: its process is another
        one then.
        """
        self.parts[name] = msgspec.structs.replace(self.parts[name], pid=pid)
        if not self.is_ready:
            return
        try:
            self.publish()
        except OSError as error:  # the disk is full: the part runs all the same
            self.say(f"other commands cannot see that {name} has a new process: {error}")
