"""A whole system to break: servers and roles as `opsc up` starts them, ingest in our own hands.

PostgreSQL, the listener, delivery and the API are kept running by the supervisor, as ever. The
ingest processes are started, killed and frozen by the rows of the fault matrix, which cannot wait
for the supervisor's pauses thirty times.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from benchmarks.faults.bad_receivers import BadReceivers
from benchmarks.faults.cluster import Cluster, running_cluster
from benchmarks.faults.live_readers import LiveReaders
from benchmarks.faults.proxy import Link
from benchmarks.faults.up import Up
from db.core.connect import Connection, Limits, connect
from mqtt import BrokerAddress
from stack.errors import StackError
from stack.host.process import Process, wait_until
from stack.servers.cluster.rabbitmq import Rabbit
from stack.servers.postgres import LOOPBACK, free_port
from stack.servers.role_parts import INGEST, Role, ingest_part
from stack.servers.runtime import PartInfo
from stack.servers.stack import Stack, Variation
from stack.servers.supervisor import Say
from stack.servers.system import running_stack

_READY_S = 60.0
_BACK_S = 60.0
_POLL_S = 0.05
_DISK_MIB = 384
ANY_PORT = 0
NODES = 3
LIMITS = Limits(statement_s=60, lock_s=20, transaction_s=60, idle_in_transaction_s=60)


@dataclass(frozen=True, slots=True)
class Setting:
    """The system that a row needs.

    is_linked: devices reach the listener, the listener ingest, and ingest the database through
    links that can be broken.
    has_small_disk: the database is on a disk of its own that can be filled, which takes root to
    mount. has_own_clock: ingest has a clock of its own that can be set. is_supervised: `opsc up`
    is a process of its own, and runs ingest, too; the small disk has its whole data folder.
    is_cluster: the database is a cluster that fails over. has_log: listener and ingest have a log
    of three nodes between them.
    """

    is_linked: bool = False
    is_cluster: bool = False
    has_log: bool = False
    has_small_disk: bool = False
    has_own_clock: bool = False
    is_supervised: bool = False


class Running(Protocol):
    """The places of a system's parts, as a `Stack` or the file of `opsc up` says it."""

    @property
    def api_url(self) -> str: ...
    @property
    def broker_url(self) -> str: ...
    @property
    def ingest_url(self) -> str | None: ...
    @property
    def database(self) -> Mapping[str, str]: ...
    @property
    def parts(self) -> Mapping[str, PartInfo]: ...


class Ingest:
    """One ingest process, started anew at will."""

    def __init__(
        self,
        stack: Stack,
        number: int,
        variables: Mapping[str, str],
        module: Sequence[str] = (),
    ) -> None:
        role = Role("ingest" if number == 1 else f"ingest-{number}", INGEST.module, INGEST.login)
        part = ingest_part(stack, role, variables)
        if module:
            command = replace(part.command, argv=[*part.command.argv[:-1], *module])
            part = replace(part, command=command)
        self._part = part
        self.url = f"http://{stack.parts[role.name].address}"
        self._process: Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.exit_code is None

    @property
    def pid(self) -> int | None:
        """The pid of the process; None where there is none just now."""
        return self._process.pid if self._process is not None and self.is_running else None

    def start(self) -> None:
        """Start, and return at once; a leader is ready some seconds later."""
        self._process = Process(self._part.command)

    async def ready(self) -> None:
        """Wait until ingest is the leader and connected."""
        assert self._process is not None
        await asyncio.to_thread(wait_until, self._process, self._part.is_ready, _READY_S)

    def is_ready(self) -> bool:
        return self._part.is_ready()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.signal(number)

    async def kill(self) -> None:
        assert self._process is not None
        await asyncio.to_thread(self._process.kill)

    async def stop(self) -> None:
        """Stop ingest in order, as the supervisor ends it."""
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels; 0 where it cannot be read."""
        return _metric(f"{self.url}/metrics", name)


def _metric(url: str, name: str) -> float:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            lines = response.read().decode().splitlines()
    except (urllib.error.URLError, OSError):
        return 0.0
    values = (line.rpartition(" ") for line in lines if line.startswith(name))
    return sum(float(value) for _, _, value in values)


@dataclass(slots=True)
class Links:
    """Ways through which messages go."""

    device: Link
    ingest: Link
    database: Link

    def named(self) -> Mapping[str, Link]:
        return {
            "device to listener": self.device,
            "listener to ingest": self.ingest,
            "ingest to database": self.database,
        }


@dataclass(slots=True)
class FaultSystem:
    """The system that a row breaks. done: what was done to it, how often; measured: figures by
    name.

    ingests: ours to start, none where `up` runs them. boxes: the port of Teltonika's, by TCP
    and UDP, if any.
    """

    data_dir: Path
    _stack: Stack | None = None
    ingests: Sequence[Ingest] = ()
    links: Links | None = None
    disk: Path | None = None
    clock: Path | None = None
    up: Up | None = None
    cluster: Cluster | None = None
    log: Rabbit | None = None
    boxes: int | None = None
    done: Counter[str] = field(default_factory=Counter[str])
    measured: dict[str, float] = field(default_factory=dict[str, float])
    bad_receivers: BadReceivers = field(default_factory=BadReceivers)
    live_readers: LiveReaders = field(default_factory=LiveReaders)

    @property
    def stack(self) -> Running:
        """The places of everything just now."""
        if self.up is not None:
            return self.up.info
        assert self._stack is not None
        return self._stack

    @property
    def ingest(self) -> Ingest:
        """The first to be started."""
        return self.ingests[0]

    @property
    def standby(self) -> Ingest:
        """The second to be started."""
        return self.ingests[1]

    async def begin(self) -> None:
        """Start ingest, unless it runs; return once it is the owner."""
        if self.up is not None:
            return
        if not self.ingest.is_running:
            self.ingest.start()
        await self.ingest.ready()

    @property
    def device_broker(self) -> BrokerAddress:
        """The address at which trackers connect."""
        if self.links is not None:
            return BrokerAddress(LOOPBACK, self.links.device.port)
        return BrokerAddress.parse(self.stack.broker_url)

    def listener_metric(self, name: str) -> float:
        """Return the sum of a metric of the listener over its labels; 0 where it cannot be read."""
        return _metric(self.stack.parts["listener"].metrics_url or "", name)

    def pid(self, part: str) -> int:
        """Return the pid of the process that is this part just now."""
        pid = self.stack.parts[part].pid
        assert pid is not None, f"{part} is not a process of ours"
        return pid

    async def hit(self, part: str, number: signal.Signals) -> None:
        """Send a signal that ends a supervised part; returns once it runs again."""
        pid = self.pid(part)
        os.kill(pid, number)
        self.done[f"{number.name} to {part}"] += 1
        await self.until(lambda: self.pid(part) != pid, f"{part} is started again")

    async def until(self, is_so: Callable[[], bool], what: str, within_s: float = _BACK_S) -> float:
        """Wait until the condition holds, and return the seconds that it took. Raises StackError
        where that takes too long.
        """
        began = time.monotonic()
        while not await asyncio.to_thread(is_so):
            if time.monotonic() - began > within_s:
                raise StackError(f"not within {within_s:g} s: {what}")
            await asyncio.sleep(_POLL_S)
        return time.monotonic() - began

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Connection]:
        """Provide a superuser's connection."""
        connection = await connect(self.stack.database["admin"], "opsc faults", LIMITS)
        async with connection:
            yield connection


@asynccontextmanager
async def fault_system(setting: Setting, say: Say) -> AsyncIterator[FaultSystem]:
    """Provide a system of its own in a temporary folder; nothing of it is left. Ingest is not
    started, unless the system is supervised.
    """
    async with AsyncExitStack() as ending:
        folder = ending.enter_context(_own_folder())
        make = _supervised if setting.is_supervised else _taken_apart
        yield await make(ending, folder, setting, say)


async def _supervised(
    ending: AsyncExitStack, folder: Path, setting: Setting, say: Say
) -> FaultSystem:
    data = folder / "data"
    data.mkdir(mode=0o755)
    disk = ending.enter_context(_small_disk(data)) if setting.has_small_disk else None
    up = Up(data)
    ending.push_async_callback(up.stop)
    up.start()
    await up.ready()
    return FaultSystem(data, disk=disk, up=up)


async def _taken_apart(
    ending: AsyncExitStack, folder: Path, setting: Setting, say: Say
) -> FaultSystem:
    data = folder / "data"
    disk = ending.enter_context(_small_disk(data / "postgres")) if setting.has_small_disk else None
    key = {"OPSC_LINK_SECRET": secrets.token_urlsafe(32)} if setting.is_linked else {}
    boxes = free_port(ANY_PORT)
    doors = {"OPSC_LISTEN_TELTONIKA": f"{LOOPBACK}:{boxes}, udp://{LOOPBACK}:{boxes}"}
    cluster = None
    if setting.is_cluster:
        cluster = await ending.enter_async_context(running_cluster(folder / "cluster"))
    log = ending.enter_context(_running_log(folder)) if setting.has_log else None
    way = {} if log is None else {"OPSC_LOG_URL": log.url()}
    variation = Variation(
        has_ingest=False,
        listener={**key, **doors, **way},
        database_url=None if cluster is None else cluster.url(),
    )
    stack = await ending.enter_async_context(
        running_stack(data, say, asyncio.Event(), variation=variation)
    )
    links, variables = None, {**key, **way}
    if setting.is_linked:
        link_port = free_port(ANY_PORT)
        links = await _opened(ending, stack, link_port)
        variables = {**key, **_through(stack, links, link_port)}
    clock, module = None, ()
    if setting.has_own_clock:
        clock = folder / "clock"
        set_clock(clock, 0)
        module = ("benchmarks.faults.clock", str(clock), INGEST.module)
    ingests = [Ingest(stack, number, variables, module) for number in (1, 2)]
    ending.push_async_callback(_end, ingests)
    return FaultSystem(
        data, stack, ingests, links, disk, clock, cluster=cluster, log=log, boxes=boxes
    )


async def _end(ingests: Sequence[Ingest]) -> None:
    for one in ingests:
        if one.is_running:
            one.signal(signal.SIGCONT)
        await one.stop()


@contextmanager
def _own_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="opsc-faults-"))
    folder.chmod(0o755)  # the servers' user has to walk through
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running_log(folder: Path) -> Iterator[Rabbit]:
    log = Rabbit(folder / "rabbit", NODES)
    try:
        log.start()
        yield log
    finally:
        log.stop()


def set_clock(file: Path, ahead_s: float) -> None:
    """Set how far the clock of ingest is ahead; a reader sees the old number or the new one."""
    partial = file.with_suffix(".new")
    partial.write_text(str(ahead_s))
    partial.rename(file)


async def _opened(ending: AsyncExitStack, stack: Stack, link_port: int) -> Links:
    listener, database = (
        urlsplit(url).port or 0 for url in (stack.broker_url, stack.database["opsc_ingest"])
    )
    return Links(
        await ending.enter_async_context(Link(listener)),
        await ending.enter_async_context(Link(link_port)),
        await ending.enter_async_context(Link(database)),
    )


def _through(stack: Stack, links: Links, link_port: int) -> Mapping[str, str]:
    """Return what ingest is told instead of the real addresses."""
    parts = urlsplit(stack.database["opsc_ingest"])
    login = parts.netloc.rpartition("@")[0]
    netloc = f"{login}@{LOOPBACK}:{links.database.port}"
    return {
        "OPSC_DATABASE_URL": urlunsplit(parts._replace(netloc=netloc)),
        "OPSC_INGEST_LINK": f"tcp://{LOOPBACK}:{link_port}",
        "OPSC_INGEST_LINK_ADVERTISED": f"tcp://{LOOPBACK}:{links.ingest.port}",
    }


def why_no_small_disk() -> str | None:
    """Explain why a disk of its own cannot be had here; None where it can."""
    if os.geteuid() != 0:
        return "mounting a small disk takes root"
    folder = Path(tempfile.mkdtemp(prefix="opsc-faults-"))
    try:
        with _mounted(folder, 1):
            return None
    except StackError as error:
        return str(error)
    finally:
        folder.rmdir()


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Provide a disk in memory for a folder alone."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o755)
    with _mounted(folder, _DISK_MIB):
        folder.chmod(0o755)
        yield folder


@contextmanager
def _mounted(folder: Path, mib: int) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
