"""One track in a file, as GPX, KML, CSV, NMEA or GeoJSON: its points in order of time.

- GPX: as `telemetry.traces.gpx` reads it; KML as `telemetry.traces.kml` does.
- CSV: `time,lat,lon`, and what `telemetry.traces.csv` knows beside; `device_id` says nothing here.
- NMEA: as `telemetry.formats.nmea` reads it. An RMC that cannot be read is a fault, and the others
  are read.
- GeoJSON (RFC 7946): LineStrings and MultiPoints with a time for each position in the property
  `coordTimes`, and Points with one in `time`. The third number of a position is `altitude_m`.

A file of another form is refused as a whole, with the place of what is wrong.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import msgspec
import numpy as np

from telemetry.fix import FixBatch
from telemetry.formats.decoded import MAX_FIXES_PER_MESSAGE
from telemetry.formats.nmea import decode_nmea
from telemetry.times import parse_times_us
from telemetry.traces.gpx import read_gpx
from telemetry.traces.kml import read_kml
from telemetry.traces.trace import BadValue, Devices, FixColumns, TraceError, batch_of, problem_of

__all__ = ["MAX_POINTS", "TraceError", "Track", "TrackFormat", "read_track"]

TrackFormat: TypeAlias = Literal["gpx", "kml", "csv", "nmea", "geojson"]

MAX_POINTS = 200_000
_RMCS_AT_ONCE = MAX_FIXES_PER_MESSAGE // 2
_MOST_PIECES = 2_000  # each costs a little by itself
# In these ASCII is what it looks like, so signs can be counted.
_OTHER_ENCODING = re.compile(
    rb"""encoding\s*=\s*["'](?!(?:utf-8|us-ascii|iso-8859-1|windows-1252)["'])""", re.IGNORECASE
)
_POINT: Mapping[TrackFormat, re.Pattern[bytes]] = {
    "gpx": re.compile(rb"<(?:[\w.-]{1,50}:)?trkpt\b"),
    "kml": re.compile(rb"<(?:[\w.-]{1,50}:)?(?:when|coord|Placemark)\b"),
}
_MOST_OF_A_POINT = 3  # of these elements
_MOST_TAGS = 5_000  # of XML: signs of elements and attributes, before a point or in it
_MOST_SIGNS: Mapping[TrackFormat, Mapping[bytes, int]] = {
    "csv": {b"\n": 2 * MAX_POINTS},
    "nmea": {b"\n": 1_000_000},
    "geojson": {b"[": 2 * MAX_POINTS, b"{": 4 * MAX_POINTS, b",": 15 * MAX_POINTS},
}
_LINE_BYTES = 256  # NMEA 0183 has 82


class Track(NamedTuple):
    """The points in order of time and seq, and what is wrong with others."""

    points: FixBatch
    faults: Sequence[str] = ()


class _Bytes:
    """Bytes that are read piece by piece, as a file is."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def read(self, size: int, /) -> bytes:
        piece = self._content[self._place : self._place + size]
        self._place += len(piece)
        return piece


def read_track(form: TrackFormat, content: bytes) -> Track:
    """Read a file. Raises TraceError."""
    _check_density(form, content)
    faults: list[str] = []
    match form:
        case "gpx":
            batches = (chunk.batch for chunk in read_gpx(_Bytes(content), "track"))
        case "kml":
            batches = read_kml(_Bytes(content))
        case "csv":
            from telemetry.traces.csv import read_csv  # Arrow, which others need not take

            batches = (chunk.batch for chunk in read_csv(_Bytes(_with_device(content))))
        case "nmea":
            batches = _read_nmea(content, faults)
        case "geojson":
            batches = iter([_read_geojson(content)])
    found: list[FixBatch] = []
    points = 0
    for batch in batches:
        points += len(batch)
        if points > MAX_POINTS:
            raise TraceError(MAX_POINTS + 1, f"a track has at most {MAX_POINTS:,} points", "point")
        found.append(batch)
    if points == 0 and not faults:
        raise TraceError(1, "there is no point in the file", "point")
    whole = FixBatch.concat(found)
    return Track(whole.take(np.lexsort((whole.rows["seq"], whole.rows["time_us"]))), faults)


def _check_density(form: TrackFormat, content: bytes) -> None:
    """Refuse a file that has far more elements than any track of its length: each of them costs
    some hundred bytes of memory while it is read.
    """
    if form in _POINT:
        if b"\0" in content or _OTHER_ENCODING.search(content, 0, content.find(b">") + 1):
            raise TraceError(1, "the encoding must be UTF-8")
        begin, points = 0, [found.start() for found in _POINT[form].finditer(content)]
        if len(points) > _MOST_OF_A_POINT * MAX_POINTS:
            raise TraceError(MAX_POINTS + 1, f"a track has at most {MAX_POINTS:,} points", "point")
        for end in (*points, len(content)):
            if content.count(b"<", begin, end) + content.count(b"=", begin, end) > _MOST_TAGS:
                raise TraceError(1, "there are too many elements beside the points")
            begin = end
    else:
        for sign, most in _MOST_SIGNS[form].items():
            if content.count(sign) > most:
                raise TraceError(1, f"there are more than {most:,} {sign.decode()!r} in the file")


def _with_device(content: bytes) -> bytes:
    """Return CSV whose lines name a device."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if b"device_id" in lines[0]:
        return content
    return b"\n".join(
        line if not line.strip() else (b"x," if number else b"device_id,") + line
        for number, line in enumerate(lines)
    )


def _read_nmea(content: bytes, faults: list[str]) -> Iterator[FixBatch]:
    """Yield the fixes of some lines after the other; what is refused goes to `faults`."""
    rmcs = 0
    for number, lines in enumerate(_sentences_at_once(content)):
        if number == _MOST_PIECES:
            raise TraceError(rmcs, "the time of day goes back too often", "RMC")
        decoded = decode_nmea([b"\n".join(lines)])
        of_lines = sum(b"RMC," in line[:12] for line in lines)
        if of_lines:
            faults += [
                f"RMC {rmcs + (refused.position or 0) + 1}: {refused.detail}"
                for refused in decoded.rejections
            ]
        rmcs += of_lines
        yield decoded.batch
    if rmcs == 0:
        raise TraceError(1, "no line is an RMC of NMEA 0183")


def _sentences_at_once(content: bytes) -> Iterator[list[bytes]]:
    """Yield lines, cut where the time of day goes back, which is another day, or changes behind
    many: what belongs to an RMC has its time.
    """
    lines: list[bytes] = []
    rmcs, time = 0, b""
    for line in content.split(b"\n"):
        fields = line.strip()[:_LINE_BYTES].split(b",", 2)
        if len(fields) > 2 and fields[0][-3:] in (b"RMC", b"GGA"):
            is_next_day = fields[1] < time
            if lines and (is_next_day or (rmcs >= _RMCS_AT_ONCE and fields[1] != time)):
                yield lines
                lines, rmcs = [], 0
            time, rmcs = fields[1], rmcs + (fields[0][-3:] == b"RMC")
        if len(fields) > 2:
            lines.append(line.strip()[:_LINE_BYTES])
    if lines:
        yield lines


def _read_geojson(content: bytes) -> FixBatch:
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError) as error:
        raise TraceError(1, f"not JSON: {error}") from None
    positions: list[Any] = []
    times: list[str] = []
    for number, feature in enumerate(_features(document), 1):
        of_feature, times_of_feature = _timed(number, feature)
        positions += of_feature
        times += times_of_feature
    numbers = {
        name: np.array([_coordinate(row, name, each) for row, each in enumerate(positions)])
        for name in _PLACES
    }
    trackers = Devices().trackers(["track"] * len(times))
    try:
        return batch_of(FixColumns(trackers, parse_times_us(times), numbers))
    except BadValue as error:
        row, column = error.row, error.column
        value = times[row] if column == "time" else numbers[column][row]
        raise TraceError(row + 1, problem_of(error, value), "point") from None


_PLACES: Mapping[str, int] = {"lon": 0, "lat": 1, "altitude_m": 2}


def _features(document: object) -> list[object]:
    """Return the features of a FeatureCollection, or the one that the document is."""
    if isinstance(document, dict):
        found = cast("dict[str, object]", document)
        if found.get("type") == "Feature":
            return [found]
        if found.get("type") == "FeatureCollection" and isinstance(found.get("features"), list):
            return cast("list[object]", found["features"])
    raise TraceError(1, "not GeoJSON: a Feature or a FeatureCollection is wanted", "feature")


def _timed(number: int, feature: object) -> tuple[list[Any], list[str]]:
    """Return the positions of a feature, with their times."""
    members = cast("dict[str, Any]", feature) if isinstance(feature, dict) else {}
    geometry, properties = _object(members, "geometry"), _object(members, "properties")
    kind, positions = geometry.get("type"), geometry.get("coordinates")
    if kind == "Point":
        positions, times = [positions], [properties.get("time")]
    elif kind in ("LineString", "MultiPoint"):
        times = properties.get("coordTimes")
    else:
        raise TraceError(number, "its geometry is no Point, MultiPoint or LineString", "feature")
    if not isinstance(positions, list) or not isinstance(times, list):
        raise TraceError(number, "it has no coordinates, or no times in coordTimes", "feature")
    found, at = cast("list[Any]", positions), cast("list[Any]", times)
    if len(found) != len(at):
        problem = f"{len(found)} positions and {len(at)} times"
        raise TraceError(number, problem, "feature")
    return found, [time if isinstance(time, str) else "" for time in at]


def _object(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    held = members.get(name)
    return cast("dict[str, Any]", held) if isinstance(held, dict) else {}


def _coordinate(row: int, name: str, position: object) -> float:
    """Return one number of a position; NaN where it has none."""
    numbers = cast("list[Any]", position) if isinstance(position, list) else []
    place = _PLACES[name]
    if len(numbers) < 2 or not all(type(one) in (int, float) for one in numbers):
        raise TraceError(row + 1, "a position is two numbers or three", "point")
    try:
        return float(numbers[place]) if place < len(numbers) else np.nan
    except OverflowError:
        return np.inf
