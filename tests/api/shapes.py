"""Geometries for tests."""

from typing import Any


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
