"""Geometries for tests, and the process that checks large ones."""

import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from api.limits.geometry_checks import Shapes


def square(lon: float = 0.0, lat: float = 0.0, side_deg: float = 0.01) -> dict[str, Any]:
    """Return a square with its lower left corner at (lon, lat)."""
    ring = [
        [lon, lat],
        [lon + side_deg, lat],
        [lon + side_deg, lat + side_deg],
        [lon, lat + side_deg],
        [lon, lat],
    ]
    return {"type": "Polygon", "coordinates": [ring]}


def point(lon: float = 0.0, lat: float = 0.0) -> dict[str, Any]:
    """Return the centre of a circle."""
    return {"type": "Point", "coordinates": [lon, lat]}


def line(lon: float = 0.0, lat: float = 0.0, length_deg: float = 0.01) -> dict[str, Any]:
    """Return the middle of a corridor, from (lon, lat) to the east."""
    return {"type": "LineString", "coordinates": [[lon, lat], [lon + length_deg, lat]]}


BOW_TIE: dict[str, Any] = {
    "type": "Polygon",
    "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]],
}


def ring(vertices: int) -> dict[str, Any]:
    """Return a polygon; from 300 vertices on it is large, and checked in the process."""
    turns = [2 * math.pi * number / (vertices - 1) for number in range(vertices - 1)]
    line = [[round(8 + math.cos(at) / 100, 9), round(47 + math.sin(at) / 100, 9)] for at in turns]
    return {"type": "Polygon", "coordinates": [[*line, line[0]]]}


@contextmanager
def process_held(shapes: Shapes) -> Iterator[None]:
    """Hold the process, which something large has started before, while the block lasts."""
    process = shapes.process_id
    assert process is not None
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
