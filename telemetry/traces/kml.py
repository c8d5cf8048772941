"""Tracks as KML 2.2: the positions of each `gx:Track`, and points of Placemarks with a TimeStamp.

The third number of a position is its altitude where `altitudeMode` is `absolute`; else it says
nothing about the sea. Lines, polygons and places without a time are passed over.

Read as a stream: what was read of a track is forgotten. Entities are refused (defusedxml).
https://developers.google.com/kml/documentation/kmlreference
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false, reportMissingModuleSource=false
# (defusedxml has no type information of its own)

from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException

from telemetry.fix import FixBatch
from telemetry.times import parse_times_us
from telemetry.traces.trace import (
    BadValue,
    ByteSource,
    FixColumns,
    TraceError,
    batch_of,
    problem_of,
)
from telemetry.traces.xml_events import events, local

_UNIT = "point"
_NUMBERS = ("lon", "lat", "altitude_m")
_FORGOTTEN_IN = frozenset({"kml", "Document", "Folder", "MultiTrack", "Track"})

_Point = tuple[str, list[str]]  # the time, and the numbers of the position, as they stand there


def read_kml(source: ByteSource) -> Iterator[FixBatch]:
    """Read a file, one track or point after the other. Raises TraceError; `line` counts points."""
    first = 1
    try:
        for points in _tracks(source):
            yield _batch(points, first)
            first += len(points)
    except ParseError as error:
        raise TraceError(error.position[0], f"not XML: {error}") from None
    except DefusedXmlException:
        raise TraceError(first, "entities and document types are not read", _UNIT) from None


def _tracks(source: ByteSource) -> Iterator[list[_Point]]:
    """Yield the points of each track, and each point of its own."""
    path: list[Element] = []
    times: list[str] = []
    places: list[str] = []
    is_absolute = False
    for event, element in events(source):
        name = local(element)
        if event == "start":
            path.append(element)
            if len(path) == 1 and name != "kml":
                raise TraceError(1, "not KML: the root element must be kml")
            if name in ("Placemark", "Track"):
                is_absolute = False
            continue
        path.pop()
        parent = local(path[-1]) if path else ""
        text = (element.text or "").strip()
        if name == "altitudeMode":
            is_absolute = text == "absolute"
        elif parent == "Track" and name == "when":
            times.append(text)
        elif parent == "Track" and name == "coord":
            places.append(text)
        elif name == "Track":
            if len(times) != len(places):
                problem = f"a gx:Track has {len(times)} times and {len(places)} positions"
                raise TraceError(1, problem, _UNIT)
            pairs = zip(times, places, strict=True)
            if times:
                yield [(time, _numbers(place.split(), is_absolute)) for time, place in pairs]
            times, places = [], []
        elif name == "Placemark":
            time, place = (
                _text(element, "TimeStamp", "when"),
                _text(element, "Point", "coordinates"),
            )
            if time and place:
                yield [(time, _numbers(place.split(","), is_absolute))]
        if parent in _FORGOTTEN_IN:
            path[-1].remove(element)


def _text(placemark: Element, of: str, name: str) -> str:
    """Return the text of an element of a Placemark's own element, "" where there is none."""
    for part in placemark:
        if local(part) == of:
            for inner in part:
                if local(inner) == name:
                    return (inner.text or "").strip()
    return ""


def _numbers(texts: list[str], is_absolute: bool) -> list[str]:
    """Return longitude, latitude and altitude, "" for each that is not known."""
    given = texts if is_absolute else texts[:2]
    return [*given, "", "", ""][:3]


def _batch(points: list[_Point], first: int) -> FixBatch:
    times = [time for time, _ in points]
    try:
        numbers = {
            name: np.array([_number(row, name, of[place]) for row, (_, of) in enumerate(points)])
            for place, name in enumerate(_NUMBERS)
        }
        trackers = np.zeros(len(points), np.int32)
        return batch_of(FixColumns(trackers, parse_times_us(times), numbers))
    except BadValue as error:
        time, of = points[error.row]
        value = time if error.column == "time" else of[_NUMBERS.index(error.column)]
        raise TraceError(first + error.row, problem_of(error, value), _UNIT) from None


def _number(row: int, column: str, text: str) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        raise BadValue(row, column, "a number") from None
