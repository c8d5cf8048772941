"""The distance of a point from the edges of a packed shape, compiled.

Of all edges the one that is nearest in the plane is measured on the ellipsoid first; of the others
only those that a lower bound leaves in the race. In an area with slabs the search begins at the
point's own latitude and ends where a whole slab is farther away. The vertices that only close a
shape round a pole are no edges here.
"""

import math

import numpy as np

from geofence.geometry.geodesic import metres_per_degree
from geofence.geometry.latitude_bands import band_of
from geofence.geometry.nearest import (
    beyond_m,
    greatest_degrees_m,
    least_degrees_m,
    nearest_on_edge,
    planar_m2,
)
from geofence.geometry.packing import Arena
from geofence.kernel.compiled import bare

_FAR_M = 50_000.0


@bare
def line_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Return the least geodesic distance to any place of the edges, in metres; of a corridor, to
    its line.

    lon, lat: degrees. Right to 1 cm below 100 km.
    """
    vertices = arena.vertices
    edge = _nearest_in_plane(arena, shape, lon, lat)
    best_m = nearest_on_edge(
        lon, lat, vertices[edge, 0], vertices[edge, 1], vertices[edge + 1, 0], vertices[edge + 1, 1]
    )[0]
    return _best_m(arena, shape, lon, lat, edge, best_m)


@bare
def line_within_m(arena: Arena, shape: np.void, lon: float, lat: float, reach_m: float) -> bool:
    """Return whether `line_distance_m` is at most `reach_m`; most answers need no geodesic."""
    vertices = arena.vertices
    east_m, north_m = least_degrees_m(lat, reach_m)
    most_east_m, most_north_m = greatest_degrees_m(lat, reach_m)
    limit_m2, reach_deg = reach_m * reach_m, reach_m / north_m
    sure_m2 = -1.0  # nothing is sure where the reach goes over a pole
    if east_m > 0.0:
        stretch = max(most_east_m / east_m, most_north_m / north_m)
        sure_m2 = limit_m2 / (stretch * stretch) * (1 - 1e-9)
    for away in range(_bands(shape)):
        done = True
        for upwards in range(2):
            band, gap_deg = _band_away(shape, lat, away, upwards)
            if band < 0 or gap_deg > reach_deg:
                continue
            done = False
            start, end = _run(arena, shape, band)
            for entry in range(start, end):
                edge = _edge(arena, shape, entry)
                x0, y0 = vertices[edge, 0], vertices[edge, 1]
                x1, y1 = vertices[edge + 1, 0], vertices[edge + 1, 1]
                if _apart(y0 - lat, y1 - lat, reach_deg):
                    continue
                square = planar_m2(x0 - lon, y0 - lat, x1 - x0, y1 - y0, east_m, north_m)
                if not square <= limit_m2 * (1 + 1e-9) or edge + 1 >= shape["real"]:
                    continue
                if square <= sure_m2 or nearest_on_edge(lon, lat, x0, y0, x1, y1)[0] <= reach_m:
                    return True
        if done:
            return False
    return False


@bare
def _nearest_in_plane(arena: Arena, shape: np.void, lon: float, lat: float) -> int:
    """Return the edge that is nearest where a degree is as long everywhere as at the point."""
    vertices = arena.vertices
    east_m, north_m = metres_per_degree(lat)
    best, least_m2, reach_deg = shape["first"], np.inf, np.inf
    for away in range(_bands(shape)):
        done = True
        for upwards in range(2):
            band, gap_deg = _band_away(shape, lat, away, upwards)
            if band < 0 or gap_deg > reach_deg:
                continue
            done = False
            start, end = _run(arena, shape, band)
            for entry in range(start, end):
                edge = _edge(arena, shape, entry)
                x0, y0 = vertices[edge, 0], vertices[edge, 1]
                x1, y1 = vertices[edge + 1, 0], vertices[edge + 1, 1]
                if _apart(y0 - lat, y1 - lat, reach_deg):
                    continue
                square = planar_m2(x0 - lon, y0 - lat, x1 - x0, y1 - y0, east_m, north_m)
                if square < least_m2 and edge + 1 < shape["real"]:
                    best, least_m2, reach_deg = edge, square, math.sqrt(square) / north_m
        if done:
            break
    return best


@bare
def _best_m(
    arena: Arena, shape: np.void, lon: float, lat: float, known: int, best_m: float
) -> float:
    """Return the least distance, where edge `known` is `best_m` away."""
    vertices = arena.vertices
    east_m, north_m = least_degrees_m(lat, best_m)
    reach_deg = best_m / north_m
    for away in range(_bands(shape)):
        done = True
        for upwards in range(2):
            band, gap_deg = _band_away(shape, lat, away, upwards)
            if band < 0 or gap_deg > reach_deg:
                continue
            done = False
            start, end = _run(arena, shape, band)
            for entry in range(start, end):
                edge = _edge(arena, shape, entry)
                x0, y0 = vertices[edge, 0], vertices[edge, 1]
                x1, y1 = vertices[edge + 1, 0], vertices[edge + 1, 1]
                if edge == known or _apart(y0 - lat, y1 - lat, reach_deg):
                    continue
                square = planar_m2(x0 - lon, y0 - lat, x1 - x0, y1 - y0, east_m, north_m)
                if not square < best_m * best_m or edge + 1 >= shape["real"]:
                    continue
                if best_m > _FAR_M and beyond_m(lon, lat, x0, y0, x1, y1, best_m):
                    continue
                best_m = min(best_m, nearest_on_edge(lon, lat, x0, y0, x1, y1)[0])
                reach_deg = best_m / north_m
        if done:
            break
    return best_m


@bare
def _apart(above0: float, above1: float, reach_deg: float) -> bool:
    """Return whether an edge lies wholly above or below a reach of latitude: spares
    the division.
    """
    return (above0 > reach_deg and above1 > reach_deg) or (
        above0 < -reach_deg and above1 < -reach_deg
    )


# The edges of a shape as runs: one for each slab, or a single one. -------------------------------


@bare
def _bands(shape: np.void) -> int:
    return max(shape["slabs"], 1)


@bare
def _band_away(shape: np.void, lat: float, away: int, upwards: int) -> tuple[int, float]:
    """Return the slab `away` slabs above or below the point's own, and how many degrees lie
    between.

    (-1, 0.0) where there is none; the own one is given upwards only.
    """
    if shape["slabs"] == 0:
        return (0, 0.0) if upwards == 0 else (-1, 0.0)
    own = band_of(lat, shape["slab_south"], shape["slabs_per_deg"], shape["slabs"])
    band = own + away if upwards == 1 else own - away
    if not 0 <= band < shape["slabs"] or (upwards == 0 and away == 0):
        return -1, 0.0
    south = shape["slab_south"] + band / shape["slabs_per_deg"]
    north = shape["slab_south"] + (band + 1) / shape["slabs_per_deg"]
    # Rounding is of no account beside a billionth of a degree.
    return band, max(max(south - lat, lat - north) - 1e-9, 0.0)


@bare
def _run(arena: Arena, shape: np.void, band: int) -> tuple[int, int]:
    """Return the run's entries: places in `slab_edge`, or else the edges themselves."""
    if shape["slabs"] == 0:
        return shape["first"], shape["real"] - 1
    slab = shape["slab"] + band
    return int(arena.slab_start[slab]), int(arena.slab_start[slab + 1])


@bare
def _edge(arena: Arena, shape: np.void, entry: int) -> int:
    if shape["slabs"] == 0:
        return entry
    return int(arena.slab_edge[entry])
