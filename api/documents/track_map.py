"""A map of a way as a drawing: the way, numbered stops and outlines of zones, without any tiles.

It is SVG, in which the north is up. Lengths to the east are right at the middle of the way.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, radians
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from geofence.shapes.outlines import Outline, outline_of, simplified
from geofence.shapes.types import Shape

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 1_000.0, 560.0, 40.0
_M_PER_DEGREE = 111_195.0
_LEAST_M = 200.0  # across
_DETAIL_PX = 0.4
_MOST_STOPS = 99
_FONT = "Libertinus Serif"
_STOP = 'fill="#fff" stroke="#222" stroke-width="2"'
_ZONE = 'fill="#2f6f9f" fill-opacity="0.10" stroke="#2f6f9f" stroke-width="1.5"'


@dataclass(frozen=True, slots=True)
class _View:
    """A plane on which a place is drawn."""

    lat: float
    lon: float
    px_per_m: float

    def points(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places on the drawing: (n, 2)."""
        east = (lon - self.lon + 540.0) % 360.0 - 180.0
        x = east * cos(radians(self.lat)) * _M_PER_DEGREE * self.px_per_m
        y = (self.lat - lat) * _M_PER_DEGREE * self.px_per_m
        return np.stack((x + _WIDTH_PX / 2, y + _HEIGHT_PX / 2), axis=-1)

    def point(self, lon: float, lat: float) -> tuple[float, float]:
        x, y = self.points(np.array([lon]), np.array([lat]))[0].tolist()
        return x, y


def track_map(
    lat: NDArray[np.float64],
    lon: NDArray[np.float64],
    stops: Sequence[tuple[float, float]],
    zones: Sequence[tuple[str, Shape]],
) -> bytes:
    """Return the SVG of a way of one fix at least. lat, lon: of its fixes, (n,). stops: latitude
    and longitude of each. zones: their names and shapes.
    """
    view = _view(lat, lon)
    outlines = [(name, outline_of(shape)) for name, shape in zones]
    pieces = [
        '<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {_WIDTH_PX:g} {_HEIGHT_PX:g}" width="{_WIDTH_PX:g}" height="{_HEIGHT_PX:g}">'
        '<defs><clipPath id="frame">'
        f'<rect width="{_WIDTH_PX:g}" height="{_HEIGHT_PX:g}"/></clipPath></defs>'
        f'<rect width="{_WIDTH_PX:g}" height="{_HEIGHT_PX:g}" fill="#f7f7f4"/>'
        '<g clip-path="url(#frame)">',
        *(_drawn(view, outline) for _, outline in outlines),
        f'<polyline points="{_line(view, lon, lat)}" fill="none" stroke="#b3261e"'
        ' stroke-width="2.5" stroke-linejoin="round" stroke-linecap="round"/>',
        *_names(view, outlines),
        *_stops(view, stops),
        "</g>",
        *_scale(view),
        "</svg>",
    ]
    return "".join(pieces).encode()


def _view(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> _View:
    east = (lon - lon[0] + 540.0) % 360.0 - 180.0
    mid_lat = float(lat.min() + lat.max()) / 2
    mid_lon = float(lon[0] + (east.min() + east.max()) / 2)
    per_degree = _M_PER_DEGREE * max(cos(radians(mid_lat)), 1e-3)
    width_m = max(float(np.ptp(east)) * per_degree, _LEAST_M)
    height_m = max(float(np.ptp(lat)) * _M_PER_DEGREE, _LEAST_M)
    scales = (
        (_WIDTH_PX - 2 * _MARGIN_PX) / width_m,
        (_HEIGHT_PX - 2 * _MARGIN_PX) / height_m,
    )
    return _View(mid_lat, mid_lon, min(scales))


def _line(view: _View, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> str:
    points = simplified(view.points(lon, lat), _DETAIL_PX)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points.tolist())


def _drawn(view: _View, outline: Outline) -> str:
    if outline.radius_m is not None:
        x, y = view.point(*outline.middle)
        radius_px = outline.radius_m * view.px_per_m
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius_px:.1f}" {_ZONE}/>'
    lines = [_line(view, line[:, 0], line[:, 1]) for line in outline.lines]
    if outline.width_m is not None:
        width_px = max(outline.width_m * view.px_per_m, 1.0)
        return (
            f'<polyline points="{lines[0]}" fill="none" stroke="#2f6f9f" stroke-opacity="0.18"'
            f' stroke-width="{width_px:.1f}" stroke-linejoin="round" stroke-linecap="round"/>'
        )
    rings = " ".join(f"M{line}Z" for line in lines)
    return f'<path d="{rings}" fill-rule="evenodd" {_ZONE}/>'


def _names(view: _View, outlines: Iterable[tuple[str, Outline]]) -> Iterator[str]:
    for name, outline in outlines:
        x, y = view.point(*outline.middle)
        if 0 < x < _WIDTH_PX and 0 < y < _HEIGHT_PX:
            yield _text(x, y + 20, name, "#1d4f75", 15)


def _stops(view: _View, stops: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Yield a numbered circle for each stop; those at one place are told by one circle."""
    drawn: list[tuple[float, float, list[int]]] = []
    for number, (lat, lon) in enumerate(stops[:_MOST_STOPS], 1):
        x, y = view.point(lon, lat)
        near = next((each for each in drawn if hypot(each[0] - x, each[1] - y) < 12), None)
        if near is None:
            drawn.append((x, y, [number]))
        else:
            near[2].append(number)
    for x, y, numbers in drawn:
        label = ", ".join(map(str, numbers[:4])) + (" …" if len(numbers) > 4 else "")
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {_STOP}/>'
        yield _text(x, y - 9, label, "#222", 14)


def _text(x: float, y: float, text: str, colour: str, size_px: int) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="{_FONT}" font-size="{size_px}"'
        f' text-anchor="middle" fill="{colour}" stroke="#f7f7f4" stroke-width="3"'
        f' paint-order="stroke">{escape(text)}</text>'
    )


def _scale(view: _View) -> Iterator[str]:
    """Yield a bar with its length on the ground."""
    most_m = _WIDTH_PX / 5 / view.px_per_m
    length_m = max(
        step * 10.0**power
        for power in range(8)
        for step in (1, 2, 5)
        if step * 10.0**power <= most_m
    )
    x, y = 20.0, _HEIGHT_PX - 18
    end = x + length_m * view.px_per_m
    yield (
        f'<path d="M{x:.1f},{y - 6:.1f}V{y:.1f}H{end:.1f}V{y - 6:.1f}" fill="none" stroke="#222"'
        ' stroke-width="1.5"/>'
    )
    text = f"{length_m / 1_000:g} km" if length_m >= 1_000 else f"{length_m:g} m"
    yield _text((x + end) / 2, y - 8, text, "#222", 14)
