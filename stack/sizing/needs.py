"""The needs of a fleet, by measured figures.

A fix costs `a / fixes_per_message + b` in each process: a is what a message costs, b what a fix
costs. Both depend on the load, as a share of the most that was measured with the shape. Between
measured shapes and loads we interpolate on straight lines; beyond them there is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

from stack.sizing.figures import Figures, ShapeFigure

LISTENER, INGEST, DELIVER, API, DATABASE = "listener", "ingest", "deliver", "api", "postgresql"
_MEASURED_AS = {LISTENER: "listener", INGEST: "ingest", DATABASE: "database"}
FREE = 0.5
"""The part of a machine's cores and memory that stays free: for requests of people, backlogs after
an outage, reports and vacuum; for the caches of PostgreSQL and Linux."""
PACKET_BYTES = 52  # heads of IPv4 and TCP with timestamps
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
    is_packed: bool = False
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
    received_bytes_per_s: float | None
    sent_bytes_per_s: float | None
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
    shapes = _around(fleet, figures, beyond)
    way = _cores_of_way(fleet, shapes, figures, beyond)
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
    received, sent = _network(fleet, shapes)
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


def most_per_s(fleet: Fleet, figures: Figures) -> float | None:
    """Return the most fixes a second that were measured with messages like these."""
    shapes = _around(fleet, figures, [])
    return _most_per_s(fleet, shapes) if shapes else None


def _around(
    fleet: Fleet, figures: Figures, beyond: list[str]
) -> tuple[ShapeFigure, ShapeFigure] | None:
    """Return the measured shapes between which these messages lie."""
    form = "packed" if fleet.is_packed else "json"
    shapes = sorted(
        (shape for shape in figures.shapes if shape.form == form),
        key=lambda shape: shape.fixes_per_message,
    )
    wanted = fleet.fixes_per_message
    for shape in shapes:
        if shape.fixes_per_message == wanted:
            return shape, shape
    for low, high in pairwise(shapes):
        if low.fixes_per_message < wanted < high.fixes_per_message:
            return low, high
    most = shapes[-1].fixes_per_message
    beyond.append(f"messages of {wanted} fixes: messages of up to {most} were measured")
    return None


def _between(
    fleet: Fleet,
    shapes: tuple[ShapeFigure, ShapeFigure],
    of: Callable[[ShapeFigure], float],
) -> float:
    """Return a + b / fixes_per_message, by the figures of two shapes."""
    low, high = shapes
    if low is high:
        return of(low)
    at, of_low, of_high = (
        1 / number
        for number in (fleet.fixes_per_message, low.fixes_per_message, high.fixes_per_message)
    )
    part = (of_low - at) / (of_low - of_high)
    return of(low) + part * (of(high) - of(low))


def _most_per_s(fleet: Fleet, shapes: tuple[ShapeFigure, ShapeFigure]) -> float:
    return 1 / _between(fleet, shapes, lambda shape: 1 / shape.most_per_s)


def _cores_of_way(
    fleet: Fleet,
    shapes: tuple[ShapeFigure, ShapeFigure] | None,
    figures: Figures,
    beyond: list[str],
) -> dict[str, float] | None:
    """Return the cores of listener, ingest and PostgreSQL."""
    if shapes is None:
        return None
    most = _most_per_s(fleet, shapes)
    if not _within(fleet.fixes_per_s, most, "fixes/s in messages like these", beyond):
        return None
    share = fleet.fixes_per_s / most

    def per_fix(process: str) -> float:
        def of(shape: ShapeFigure) -> float:
            points = [(0.0, figures.idle_cores[process])]
            points += [
                (load.fixes_per_s / shape.most_per_s, load.cores[process]) for load in shape.loads
            ]
            return _on_line(points, share) / shape.most_per_s

        return _between(fleet, shapes, of)

    return {name: most * per_fix(process) for name, process in _MEASURED_AS.items()}


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


def _network(
    fleet: Fleet, shapes: tuple[ShapeFigure, ShapeFigure] | None
) -> tuple[float | None, float | None]:
    """Return bytes a second from devices and to them, without TLS."""
    if shapes is None:
        return None, None
    low, high = shapes
    message = low.publish_bytes
    if low is not high:
        more = fleet.fixes_per_message - low.fixes_per_message
        each = (high.publish_bytes - low.publish_bytes) / (
            high.fixes_per_message - low.fixes_per_message
        )
        message += more * each
    packets = ceil(message / 1_448)
    received = fleet.messages_per_s * (message + PACKET_BYTES * (packets + 1))
    return received, fleet.messages_per_s * (PUBACK_BYTES + PACKET_BYTES * 2)


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
