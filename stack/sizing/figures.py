"""The figures that `opsc plan` works with: figures.json, made of result files by
`python -m benchmarks.scale.figures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

import msgspec


class Source(msgspec.Struct, frozen=True):
    """A result file in benchmarks/results: when it was measured, at which commit, on what."""

    file: str
    measured_at: str
    commit: str
    cpu: str
    cores: int


class LoadFigure(msgspec.Struct, frozen=True):
    """Cores of each process on the way of a fix, with messages of a size."""

    fixes_per_message: int
    messages_per_s: float
    cores: Mapping[str, float]


class FleetMemory(msgspec.Struct, frozen=True):
    """The most that ingest held with a fleet, MiB."""

    trackers: int
    zones: int
    most_mib: float


class Connections(msgspec.Struct, frozen=True):
    """Idle connections of one listener process; how many were measured over several."""

    of_a_process: int
    of_all: int
    tls_kib: float


class FixBytes(msgspec.Struct, frozen=True):
    """Bytes of a fix. events: of the visits and events that it gives, by the share `events`."""

    table: float
    index: float
    events: float
    wal: float
    archive: float


class Deliveries(msgspec.Struct, frozen=True):
    """Webhooks at full load: processor time of one, and how many a second."""

    deliver_us: float
    database_us: float
    most_per_s: float


class Requests(msgspec.Struct, frozen=True):
    """Lists of 50 assets, of one process of the API at full load."""

    api_us: float
    database_us: float
    most_per_s: float


class Figures(msgspec.Struct, frozen=True):
    """All of them. single: messages of one fix, from the lowest load to the most. arrays: messages
    of many at the most. publish_bytes: of a PUBLISH with one fix, and with one more. idle_cores,
    idle_mib: of each process while nobody is connected.
    """

    sources: Mapping[str, Source]
    single: list[LoadFigure]
    arrays: LoadFigure
    publish_bytes: tuple[float, float]
    idle_cores: Mapping[str, float]
    idle_mib: Mapping[str, float]
    ingest_memory: list[FleetMemory]
    connections: Connections
    fix_bytes: FixBytes
    events_per_fix: float
    deliveries: Deliveries
    requests: Requests


def shipped() -> Figures:
    """Return the figures of this version."""
    return msgspec.json.decode((files("stack.sizing") / "figures.json").read_bytes(), type=Figures)
