"""A town of our own: what our simulator drives, over zones that are drawn here.

    python -m tests.geofence.town       # writes tests/cases/*_town*.gz anew

A clone without real data tests truth and segments with it. Transitions and crossings are worked out
in exact fractions, from nothing but the rings: no GEOS, no index, none of our own geometry.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from device_sim.motion import StreetPlan
from telemetry.times import format_times
from tests.data import CASES
from tests.geofence.ellipsoid import WGS84

PLAN = StreetPlan(vehicles=10, rate_hz=0.05, seconds=3_600, seed=16, blocks=6)
START_US = 1_798_761_600_000_000
BLOCK = (0.001773, 0.001078)  # degrees of longitude and latitude: about 120 m of our streets

Place = tuple[float, float]  # longitude and latitude
Fix = tuple[str, int, float, float]  # device, time_us, longitude, latitude
Point = tuple[Fraction, Fraction]
Rings = list[list[Point]]


# What is there ----------------------------------------------------------------------------------


def fixes() -> list[Fix]:
    """Return device by device: the vehicles, then one whose fixes are odd."""
    rows = np.concatenate([part.fixes.rows for part in PLAN.slices(START_US)])
    rows = rows[np.argsort(rows["tracker"], kind="stable")]
    places = np.round(rows["lon"], 6), np.round(rows["lat"], 6)
    columns = (
        column.tolist() for column in (rows["tracker"], rows["time_us"] // 1_000_000, *places)
    )
    driven = [
        (f"town-{vehicle:02}", second * 1_000_000, lon, lat)
        for vehicle, second, lon, lat in zip(*columns, strict=True)
    ]
    return driven + list(odd_fixes())


def odd_fixes() -> Iterator[Fix]:
    """Return fixes on edges and corners, twice, at two places at once, out of order, and at 0,0."""
    (west, south), (east, _), (_, north) = district(0, 0)[:3]
    (outside, middle), inside = (west - 0.001, south + 0.0005), (west + 0.0005, south + 0.0005)
    way = [(outside, middle), (west, middle), (outside, middle), (west, south), (outside, middle)]
    way += [(0.0, 0.0), inside, (east, north), inside, (outside, middle), (west, north), inside]
    seconds = [0, 60, 120, 180, 240, 300, 360, 480, 420, 540, 540, 600]
    for second, place in zip(seconds, way, strict=True):
        yield ("town-odd", START_US + second * 1_000_000, *place)
    yield ("town-odd", START_US + 600 * 1_000_000, *inside)


def corner(east: float, north: float) -> Place:
    """Return a place by blocks from the middle of the town."""
    lon, lat = PLAN.origin_lon + east * BLOCK[0], PLAN.origin_lat + north * BLOCK[1]
    return round(lon, 6), round(lat, 6)


def district(column: int, row: int) -> list[Place]:
    """Return a ring along streets; neighbours share their edges."""
    west, south = 3 * column - 6, 3 * row - 6
    ways = ((0, 0), (3, 0), (3, 3), (0, 3), (0, 0))
    return [corner(west + east, south + north) for east, north in ways]


def star(east: float, north: float, radius: float, chance: np.random.Generator) -> list[Place]:
    """Return a jagged ring; radius in blocks."""
    angles = np.sort(chance.uniform(0, 2 * np.pi, int(chance.integers(6, 12))))
    reach = radius * chance.uniform(0.4, 1, len(angles))
    places = [
        corner(east + far * np.cos(angle), north + far * np.sin(angle))
        for angle, far in zip(angles, reach, strict=True)
    ]
    return [*places, places[0]]


def square(east: float, north: float, half: float) -> list[Place]:
    """Return a ring round a place, from its south-west corner; sizes in blocks."""
    ways = ((-half, -half), (half, -half), (half, half), (-half, half), (-half, -half))
    return [corner(east + e, north + n) for e, n in ways]


def zones() -> dict[str, list[list[list[Place]]]]:
    """Return polygons (rings of places) by zone: districts, yards, gates on the streets, odd
    shapes.
    """
    chance = np.random.default_rng(16)
    found = {f"district-{c}{r}": [[district(c, r)]] for c in range(4) for r in range(4)}
    for number in range(12):
        east, north = chance.uniform(-5, 5, 2)
        found[f"yard-{number:02}"] = [[star(east, north, chance.uniform(0.5, 2), chance)]]
    for number in range(24):
        along, across = chance.uniform(-5, 5), float(chance.integers(-5, 6))
        middle = (along, across) if number % 2 else (across, along)
        found[f"gate-{number:02}"] = [[square(*middle, chance.uniform(0.1, 0.7))]]
    found["ring road"] = [[square(0, 0, 4.5), square(0, 0, 3.5)[::-1]]]
    found["two parts"] = [[square(-4, 4, 1.2)], [square(4, -4, 1.2), square(4, -4, 0.4)[::-1]]]
    return found


# What is true ------------------------------------------------------------------------------------


def exact(place: Iterable[float]) -> Point:
    """Return the same place in fractions."""
    lon, lat = map(Fraction, place)
    return lon, lat


def turn(a: Point, b: Point, p: Point) -> Fraction:
    """Return above zero where p lies to the left of the way from a to b."""
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def holds(ring: Sequence[Point], p: Point) -> bool | None:
    """Return whether the ring goes round p; None on its edge."""
    inside = False
    for a, b in pairwise(ring):
        side = turn(a, b, p)
        if side == 0 and all(min(u, v) <= w <= max(u, v) for u, v, w in zip(a, b, p, strict=True)):
            return None
        if (a[1] > p[1]) != (b[1] > p[1]) and (side > 0) == (b[1] > a[1]):
            inside = not inside
    return inside


def covers(zone: Sequence[Rings], p: Point) -> bool:
    """Return whether a zone covers a place; its edges belong to it."""
    return any(
        holds(outer, p) is not False and not any(holds(hole, p) for hole in holes)
        for outer, *holes in zone
    )


def cleaned(trace: Iterable[Fix]) -> list[Fix]:
    """Return by device and time; of several at one time the first."""
    kept: dict[tuple[str, int], Fix] = {}
    for fix in trace:
        kept.setdefault(fix[:2], fix)
    return [kept[key] for key in sorted(kept)]


def transitions(trace: Sequence[Fix], shapes: dict[str, list[Rings]]) -> Iterator[tuple[str, ...]]:
    """Return (device, time, zone, transition), exits before enters."""
    inside, before = set[str](), ""
    for device, time_us, *place in trace:
        inside = inside if device == before else set()
        now = {name for name, shape in shapes.items() if covers(shape, exact(place))}
        (time,), before = format_times(np.array([time_us])), device
        yield from ((device, time, name, "exit") for name in sorted(inside - now))
        yield from ((device, time, name, "enter") for name in sorted(now - inside))
        inside = now


def shares(a: Point, b: Point, start: Point, end: Point) -> Iterator[Fraction]:
    """Return where the way from a to b meets the edge from start to end, as shares of the way."""
    sides = turn(a, b, start), turn(a, b, end)
    if sides == (0, 0):
        axis = 0 if a[0] != b[0] else 1
        found = [(point[axis] - a[axis]) / (b[axis] - a[axis]) for point in (start, end)]
    elif sides[0] * sides[1] > 0:
        return
    else:
        of_edge = sides[0] / (sides[0] - sides[1])
        met = [u + of_edge * (v - u) for u, v in zip(start, end, strict=True)]
        axis = 0 if a[0] != b[0] else 1
        found = [(met[axis] - a[axis]) / (b[axis] - a[axis])]
    yield from (share for share in found if 0 <= share <= 1)


def inside_share(zone: Sequence[Rings], a: Point, b: Point) -> Fraction | None:
    """Return the share of the way from a to b that lies in a zone; None if it meets no edge."""
    edges = [edge for rings in zone for ring in rings for edge in pairwise(ring)]
    met = sorted({share for edge in edges for share in shares(a, b, *edge)})
    if not met:
        return None
    middles = [(u + v) / 2 for u, v in pairwise(met)]
    points = [(a[0] + m * (b[0] - a[0]), a[1] + m * (b[1] - a[1])) for m in middles]
    return sum(
        (v - u for (u, v), p in zip(pairwise(met), points, strict=True) if covers(zone, p)),
        Fraction(0),
    )


def crossings(trace: Sequence[Fix], shapes: dict[str, list[Rings]]) -> Iterator[tuple[str, ...]]:
    """Return (device, t0, t1, zone, len_m) of ways that meet a zone which covers neither end."""
    for (device, from_us, *start), (same, to_us, *end) in pairwise(trace):
        if device != same or start == end or device == "town-odd":
            continue
        a, b = exact(start), exact(end)
        *_, length_m = WGS84.inv(*start, *end)
        times = format_times(np.array([from_us, to_us]))
        for name, shape in sorted(shapes.items()):
            if not covers(shape, a) and not covers(shape, b):
                share = inside_share(shape, a, b)
                if share is not None:
                    yield device, *times, name, f"{length_m * float(share):.2f}"


# Files -------------------------------------------------------------------------------------------


def table(header: str, rows: Iterable[Iterable[object]]) -> str:
    """Return CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
    return text.getvalue()


def feature(name: str, polygons: list[list[list[Place]]]) -> str:
    """Return a zone as one line of GeoJSON."""
    kind, coordinates = (
        ("MultiPolygon", polygons) if len(polygons) > 1 else ("Polygon", polygons[0])
    )
    geometry = {"type": kind, "coordinates": coordinates}
    properties = {"zone_id": name, "name": name}
    return json.dumps(
        {"type": "Feature", "id": name, "properties": properties, "geometry": geometry}
    )


def files() -> dict[str, str]:
    """Return the files by name."""
    drawn, trace = zones(), fixes()
    shapes = {
        name: [[list(map(exact, ring)) for ring in rings] for rings in polygons]
        for name, polygons in drawn.items()
    }
    times = format_times(np.array([time_us for _, time_us, *_ in trace]))
    lines = ((fix[0], time, fix[3], fix[2]) for fix, time in zip(trace, times, strict=True))
    features = ",\n".join(feature(name, polygons) for name, polygons in drawn.items())
    kept = cleaned(trace)
    return {
        "traces_town.csv.gz": table("device_id,time,lat,lon", lines),
        "zones_town.geojson.gz": f'{{"type":"FeatureCollection","features":[\n{features}\n]}}\n',
        "truth_town_town.csv.gz": table(
            "device_id,time,zone_id,transition", transitions(kept, shapes)
        ),
        "segment_crossings_town_town.csv.gz": table(
            "device_id,t0,t1,zone_id,len_m", crossings(kept, shapes)
        ),
    }


if __name__ == "__main__":
    for name, text in files().items():
        (CASES / name).write_bytes(gzip.compress(text.encode(), mtime=0))
