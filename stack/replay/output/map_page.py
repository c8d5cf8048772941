"""The map of a replay: one page of HTML that needs nothing else, not even a network.

The page itself is `map_page.html`; its data is one JSON document inside. Whatever the ids in it
say, they are data: `<` never stands in the JSON as itself, and the page shows texts as texts.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.shapes.geojson import ZoneFeature
from stack.replay.output.map_sample import MapSample, Track

MAX_ZONES = 5_000
MAX_ZONE_VERTICES = 400_000

_DECIMALS = 6  # of degrees: a tenth of a metre


def map_page(title: str, zones: Sequence[ZoneFeature], sample: MapSample, summary: str) -> str:
    """Return the page. summary: a text shown with it."""
    drawn = list(zones[:MAX_ZONES])
    notes = sample.notes()
    if len(zones) > len(drawn):
        notes.append(f"{len(drawn):,} of {len(zones):,} zones are drawn")
    stride = _vertex_stride(drawn)
    if stride > 1:
        notes.append(f"outlines of zones are simplified: one vertex in {stride:,}")
    data = {
        "summary": summary,
        "notes": notes,
        "zones": [_zone(zone, stride, sample.breaches[zone.zone_id]) for zone in drawn],
        "tracks": [_track(track) for track in sample.tracks()],
        "transitions": [
            [
                row.device_id, row.time_us // 1000, row.time, row.zone_id, row.transition,
                round(row.lon, _DECIMALS), round(row.lat, _DECIMALS),
                row.cause, row.inferred, row.event,
            ]
            for row in sample.transitions()
        ],
    }  # fmt: skip
    template = (files("stack") / "map_page.html").read_text("utf-8")
    before, _, rest = template.partition("@@TITLE@@")
    between, _, after = rest.partition("@@DATA@@")
    return before + html.escape(title) + between + _embedded(data) + after


def _embedded(data: Mapping[str, Any]) -> str:
    """Encode JSON that may stand in a script element."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _track(track: Track) -> dict[str, Any]:
    """Return a track in which each time is the milliseconds since the one before, to be short; the
    first since 1970.
    """
    time_ms = track.time_us // 1000
    return {
        "id": track.device_id,
        "points": np.round(track.places, _DECIMALS).ravel().tolist(),
        "times": np.diff(time_ms, prepend=0).tolist(),
    }


def _zone(zone: ZoneFeature, stride: int, breaches: int) -> dict[str, Any]:
    properties = zone.properties
    return {
        "id": zone.zone_id,
        "name": zone.name,
        "kind": str(properties.get("kind") or "restricted"),
        "breaches": breaches,
        "radius_m": zone.radius_m,
        "width_m": zone.width_m,
        "lines": [_line(line, stride) for line in _lines(zone.geometry)],
    }


def _lines(geometry: Mapping[str, Any]) -> list[Any]:
    """Return every ring, line or lone point of a geometry that was accepted as a zone."""
    coordinates = geometry["coordinates"]
    kind = geometry["type"]
    if kind == "Point":
        return [[coordinates]]
    if kind == "LineString":
        return [coordinates]
    polygons = coordinates if kind == "MultiPolygon" else [coordinates]
    return [ring for rings in polygons for ring in rings]


def _line(positions: Sequence[Sequence[float]], stride: int) -> list[float]:
    """Return lon, lat, lon, lat...; longitudes go on past 180 degrees where the line does."""
    line = np.array([position[:2] for position in positions], np.float64)
    # a step of exactly 360 degrees runs along its parallel
    whole_turn = np.abs(np.diff(line[:, 0], prepend=line[0, 0])) == 360
    if not whole_turn.any():
        line[:, 0] = np.unwrap(line[:, 0], period=360)
    if stride > 1:
        line = np.concatenate((line[:-1:stride], line[-1:]))
    return np.round(_round_the_pole(line), _DECIMALS).ravel().tolist()


def _round_the_pole(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ring that winds round the axis, closed by way of the pole that it holds."""
    (first, at), (last, end) = line[0], line[-1]
    if at != end or abs(last - first) != 360:
        return line
    pole = np.copysign(90, line[:, 1].mean())
    return np.vstack((line, [[last, pole], [first, pole]]))


def _vertex_stride(zones: Sequence[ZoneFeature]) -> int:
    vertices = sum(len(line) for zone in zones for line in _lines(zone.geometry))
    return -(-vertices // MAX_ZONE_VERTICES)
