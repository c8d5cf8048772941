"""The needs of a fleet, by measured figures.

In each process, messages cost what the same number of messages with one fix does at that load, and
each more fix in them costs the same at any load. Between measured loads we interpolate on straight
lines; beyond what was measured there is no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

from stack.sizing.figures import Figures

LISTENER, INGEST, DELIVER, API, DATABASE = "listener", "ingest", "deliver", "api", "postgresql"
_MEASURED_AS = {LISTENER: "listener", INGEST: "ingest", DATABASE: "database"}
FREE = 0.5
"""The part of a machine's cores and memory that stays free: for requests of people, backlogs after
an outage, reports and vacuum; for the caches of PostgreSQL and Linux."""
PACKET_BYTES, SEGMENT_BYTES = 52, 1_448  # heads of IPv4 and TCP with timestamps; what is left
PUBACK_BYTES = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """A size that one can buy."""

    cores: int
    memory_gib: int


MACHINES = (Machine(2, 4), Machine(4, 8), Machine(8, 16), Machine(16, 32))


@dataclass(frozen=True, slots=True)
class Fleet:
    """What sends, and what is kept. retention_days: of fixes. archive_after_days: None for no
    archive.
    """

    trackers: int
    interval_s: float
    fixes_per_message: int = 1
    zones: int = 1_000
    retention_days: int = 365
    archive_after_days: int | None = None

    @property
    def fixes_per_s(self) -> float:
        return self.trackers / self.interval_s

    @property
    def messages_per_s(self) -> float:
        return self.fixes_per_s / self.fixes_per_message

    @property
    def live_days(self) -> int:
        return min(self.retention_days, self.archive_after_days or self.retention_days)


@dataclass(frozen=True, slots=True)
class Process:
    """Cores and memory of one role or server; None where it was not measured. memory_mib of
    PostgreSQL is None: it uses what is free.
    """

    cores: float | None
    memory_mib: float | None
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes. live: in PostgreSQL, its WAL apart; archived: in the archive."""

    live_per_day: float
    archived_per_day: float
    live: float
    archived: float
    wal_per_day: float


@dataclass(frozen=True, slots=True)
class Needs:
    """The answer. machine: the smallest that fits, None where none does or something was not
    measured. not_measured: why figures are missing.
    """

    fixes_per_s: float
    messages_per_s: float
    processes: dict[str, Process]
    disk: Disk
    received_bytes_per_s: float
    sent_bytes_per_s: float
    machine: Machine | None
    not_measured: list[str]

    @property
    def cores(self) -> float | None:
        return _sum(process.cores for process in self.processes.values())

    @property
    def memory_mib(self) -> float | None:
        roles = (process for name, process in self.processes.items() if name != DATABASE)
        return _sum(process.memory_mib for process in roles)


def needs(fleet: Fleet, figures: Figures) -> Needs:
    """Work out what a fleet needs."""
    beyond: list[str] = []
    way = _cores_of_way(fleet, figures, beyond)
    events_per_s = fleet.fixes_per_s * figures.events_per_fix
    delivers = _within(
        events_per_s, figures.deliveries.most_per_s, "webhooks/s of one process", beyond
    )
    if delivers and way is not None:
        way[DATABASE] += events_per_s * figures.deliveries.database_us / 1e6
    listeners = ceil(fleet.trackers / figures.connections.of_a_process)
    cores = way or {}
    deliver_cores = figures.idle_cores[DELIVER] + events_per_s * figures.deliveries.deliver_us / 1e6
    processes = {
        LISTENER: Process(
            cores.get(LISTENER), _listener_mib(fleet, listeners, figures, beyond), listeners
        ),
        INGEST: Process(cores.get(INGEST), _ingest_mib(fleet, figures, beyond)),
        DELIVER: Process(deliver_cores if delivers else None, figures.idle_mib[DELIVER]),
        API: Process(figures.idle_cores[API], figures.idle_mib[API]),
        DATABASE: Process(cores.get(DATABASE), None),
    }
    received, sent = network(fleet, figures)
    found = Needs(
        fleet.fixes_per_s,
        fleet.messages_per_s,
        processes,
        disk(fleet, figures),
        received,
        sent,
        None,
        beyond,
    )
    return replace(found, machine=_fitting(found))


def disk(fleet: Fleet, figures: Figures) -> Disk:
    """Return the bytes of its fixes, and of the visits and events that they give."""
    of_fix, per_day = figures.fix_bytes, fleet.fixes_per_s * 86_400
    live_per_day = per_day * (of_fix.table + of_fix.index + of_fix.events)
    archived_per_day = 0.0 if fleet.archive_after_days is None else per_day * of_fix.archive
    # Visits and events stay in the database.
    stays = per_day * of_fix.events * (fleet.retention_days - fleet.live_days)
    return Disk(
        live_per_day=live_per_day,
        archived_per_day=archived_per_day,
        live=live_per_day * fleet.live_days + stays,
        archived=archived_per_day * (fleet.retention_days - fleet.live_days),
        wal_per_day=per_day * of_fix.wal,
    )


def network(fleet: Fleet, figures: Figures) -> tuple[float, float]:
    """Return bytes a second from trackers and to them, TLS apart."""
    of_one, of_more = figures.publish_bytes
    message = of_one + (fleet.fixes_per_message - 1) * of_more
    packets = ceil(message / SEGMENT_BYTES)
    received = fleet.messages_per_s * (message + PACKET_BYTES * (packets + 1))
    return received, fleet.messages_per_s * (PUBACK_BYTES + PACKET_BYTES * 2)


def most_messages_per_s(fixes_per_message: int, figures: Figures) -> float:
    """Return the most messages that were taken, on a line between those of one and of many."""
    one, many = figures.single[-1], figures.arrays
    of_one, of_many = 1 / one.messages_per_s, 1 / many.messages_per_s
    of_fix = (of_many - of_one) / (many.fixes_per_message - 1)
    return 1 / (of_one + (fixes_per_message - 1) * of_fix)


def _cores_of_way(fleet: Fleet, figures: Figures, beyond: list[str]) -> dict[str, float] | None:
    """Return the cores of listener, ingest and PostgreSQL."""
    rate, size, many = fleet.messages_per_s, fleet.fixes_per_message, figures.arrays
    if not _within(size, many.fixes_per_message, "fixes in a message", beyond):
        return None
    most = most_messages_per_s(size, figures)
    if not _within(rate, most, "messages/s of this size", beyond):
        return None

    def cores(process: str) -> float:
        points = [(0.0, figures.idle_cores[process])]
        points += [(load.messages_per_s, load.cores[process]) for load in figures.single]
        return _on_line(points, rate) + rate * (size - 1) * fix_us(process, figures) / 1e6

    return {name: cores(process) for name, process in _MEASURED_AS.items()}


def fix_us(process: str, figures: Figures) -> float:
    """Return what each more fix of a message costs a process, of messages at the most."""
    one, many = figures.single[-1], figures.arrays
    of_one, of_many = (load.cores[process] / load.messages_per_s for load in (one, many))
    return max(0.0, 1e6 * (of_many - of_one) / (many.fixes_per_message - 1))


def _on_line(points: Sequence[tuple[float, float]], at: float) -> float:
    """Return the value at a place between points in order, on straight lines."""
    for (left, low), (right, high) in pairwise(points):
        if at <= right:
            return low + (at - left) / (right - left) * (high - low)
    return points[-1][1]


def _listener_mib(
    fleet: Fleet, processes: int, figures: Figures, beyond: list[str]
) -> float | None:
    """Return the memory of all listener processes, with TLS."""
    if not _within(fleet.trackers, figures.connections.of_all, "connections", beyond):
        return None
    each = figures.connections.tls_kib / 1024
    return processes * figures.idle_mib[LISTENER] + fleet.trackers * each


def _ingest_mib(fleet: Fleet, figures: Figures, beyond: list[str]) -> float | None:
    """Return what the smallest measured fleet held that is not smaller than this one."""
    larger = [
        one.most_mib
        for one in figures.ingest_memory
        if one.trackers >= fleet.trackers and one.zones >= fleet.zones
    ]
    if larger:
        return min(larger)
    trackers = max(one.trackers for one in figures.ingest_memory)
    zones = max(one.zones for one in figures.ingest_memory)
    beyond.append(
        f"memory of ingest: up to {trackers:,} trackers and {zones:,} zones were measured"
    )
    return None


def _fitting(found: Needs) -> Machine | None:
    cores, memory_mib = found.cores, found.memory_mib
    if cores is None or memory_mib is None:
        return None
    for machine in MACHINES:
        if cores <= machine.cores * FREE and memory_mib <= machine.memory_gib * 1024 * FREE:
            return machine
    return None


def _within(value: float, most: float, of: str, beyond: list[str]) -> bool:
    if value <= most:
        return True
    beyond.append(f"{value:,.0f} {of}: up to {most:,.0f} were measured")
    return False


def _sum(values: Iterator[float | None]) -> float | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None
