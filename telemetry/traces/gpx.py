"""Traces as GPX 1.0 and 1.1: the points of its tracks.

The device of a track is its name, else that of the file. A point needs a time; its elevation is
altitude_m. `speed`, `course` and `accuracy` (m/s, degrees, metres) are read where they stand in the
point itself (GPX 1.0) or in its extensions, in any namespace. Waypoints and routes are passed over.

Read as a stream: what was read of a track is forgotten. Entities are refused (defusedxml).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false, reportMissingModuleSource=false
# (defusedxml has no type information of its own)

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException

from telemetry.times import parse_times_us
from telemetry.traces.trace import (
    BadValue,
    ByteSource,
    Devices,
    FixColumns,
    TraceChunk,
    TraceError,
    batch_of,
    problem_of,
)
from telemetry.traces.xml_events import events, local

_CHUNK_POINTS = 20_000
_UNIT = "track point"
_COLUMN_OF = {
    "ele": "altitude_m",
    "time": "time",
    "speed": "speed_mps",
    "course": "course_deg",
    "accuracy": "accuracy_m",
}
_NUMBERS = ("lat", "lon", "altitude_m", "speed_mps", "course_deg", "accuracy_m")


def read_gpx(source: ByteSource, name: str) -> Iterator[TraceChunk]:
    """Read a trace chunk by chunk. Raises TraceError; its `line` counts track points from 1."""
    devices = Devices()
    point, points = 1, _Points()
    try:
        for element, device in _track_points(source, name):
            points.add(element, device)
            if len(points.times) == _CHUNK_POINTS:
                yield _chunk(points, point, devices)
                point, points = point + len(points.times), _Points()
    except ParseError as error:
        raise TraceError(error.position[0], f"not XML: {error}") from None
    except DefusedXmlException:
        raise TraceError(point, "entities and document types are not read", _UNIT) from None
    if points.times:
        yield _chunk(points, point, devices)


def _track_points(source: ByteSource, name: str) -> Iterator[tuple[Element, str]]:
    """Yield each track point with the device of its track."""
    device = name
    path: list[Element] = []
    for event, element in events(source):
        if event == "start":
            path.append(element)
            if len(path) == 1 and local(element) != "gpx":
                raise TraceError(1, "not GPX: the root element must be gpx")
            if local(element) == "trk":
                device = name
            continue
        path.pop()
        parent = local(path[-1]) if path else ""
        if local(element) == "name" and parent == "trk":
            device = (element.text or "").strip() or name
        elif local(element) == "trkpt":
            yield element, device
        if parent in ("gpx", "trk", "trkseg"):
            path[-1].remove(element)


@dataclass(slots=True)
class _Points:
    """Track points as their texts, "" where there is none."""

    devices: list[str] = field(default_factory=list[str])
    times: list[str] = field(default_factory=list[str])
    texts: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in _NUMBERS})

    def add(self, element: Element, device: str) -> None:
        texts = {"lat": element.get("lat", ""), "lon": element.get("lon", "")}
        for part in element.iter():
            column = _COLUMN_OF.get(local(part))
            if column is not None and part.text:
                texts.setdefault(column, part.text.strip())
        self.devices.append(device)
        self.times.append(texts.get("time", ""))
        for name in _NUMBERS:
            self.texts[name].append(texts.get(name, ""))

    def columns_of(self, devices: Devices) -> FixColumns:
        numbers = {
            name: np.array([_number(i, name, text) for i, text in enumerate(texts)], np.float64)
            for name, texts in self.texts.items()
        }
        return FixColumns(devices.trackers(self.devices), parse_times_us(self.times), numbers)

    def text(self, row: int, column: str) -> str:
        return self.times[row] if column == "time" else self.texts[column][row]


def _number(row: int, column: str, text: str) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        raise BadValue(row, column, "a number") from None


def _chunk(points: _Points, first: int, devices: Devices) -> TraceChunk:
    try:
        return TraceChunk(devices.ids, batch_of(points.columns_of(devices)))
    except BadValue as error:
        value = "" if error.column == "device_id" else points.text(error.row, error.column)
        raise TraceError(first + error.row, problem_of(error, value), _UNIT) from None
