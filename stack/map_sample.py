"""What of a replay is drawn: every fix and transition of a short one, every so-and-so-many-th else.

Bounded: where there are more than MAX_POINTS fixes (MAX_TRANSITIONS transitions), every second one
that was kept is dropped, and from then on only every second one is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stack.trace_rows import TRACE_DTYPE
from stack.transition_formats import TransitionRows
from telemetry.times import format_times

MAX_POINTS = 200_000
MAX_TRANSITIONS = 20_000

_AT_ONCE = 20_000
_DRAWN = ("tracker", "time_us", "lon", "lat")

Kept = TypeVar("Kept")


class _Thinned(Generic[Kept]):
    """Every `stride`-th of the items that were offered, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Kept] = []
        self.offered = 0
        self.stride = 1

    def places(self, count: int) -> range:
        """Which of the next `count` items are to be kept; they must then be given to `keep`."""
        first = -self.offered % self.stride
        self.offered += count
        return range(first, count, self.stride)

    def keep(self, items: Sequence[Kept]) -> None:
        self._kept.extend(items)
        while len(self._kept) > self._most:
            del self._kept[1::2]
            self.stride *= 2

    @property
    def kept(self) -> list[Kept]:
        return self._kept


@dataclass(frozen=True, slots=True)
class DrawnTransition:
    """One transition of the map; lon and lat in degrees."""

    device_id: str
    time: str
    zone_id: str
    transition: str
    lon: float
    lat: float
    cause: str
    inferred: str
    event: str


class MapSample:
    """Gathers what is drawn while a replay runs."""

    def __init__(
        self, max_points: int = MAX_POINTS, max_transitions: int = MAX_TRANSITIONS
    ) -> None:
        self._points = _Thinned[tuple[int, int, float, float]](max_points)
        self._transitions = _Thinned[DrawnTransition](max_transitions)
        self._ids: list[str] = []

    def add_fixes(self, rows: NDArray[np.void]) -> None:
        """rows: TRACE_DTYPE."""
        for start in range(0, len(rows), _AT_ONCE):  # few at once, before they are thinned
            some = rows[start : start + _AT_ONCE]
            places = self._points.places(len(some))
            values = [some[column][places.start :: places.step].tolist() for column in _DRAWN]
            self._points.keep(list(zip(*values, strict=True)))

    def add_transitions(self, rows: TransitionRows) -> None:
        places = list(self._transitions.places(len(rows.time_us)))
        times = format_times(rows.time_us[places])
        self._transitions.keep([
            DrawnTransition(
                rows.device_id[place], time, rows.zone_id[place], rows.transition[place],
                float(rows.lon[place]), float(rows.lat[place]),
                rows.cause[place], rows.inferred[place], rows.event[place],
            )
            for place, time in zip(places, times, strict=True)
        ])  # fmt: skip

    def name_devices(self, ids: Sequence[str]) -> None:
        """ids: the devices, by tracker."""
        self._ids = list(ids)

    def tracks(self) -> list[tuple[str, NDArray[np.float64]]]:
        """Each device's positions in order of time, (n, 2): lon, lat in degrees, by device id.

        Longitudes go on past 180 degrees where the device does.
        """
        rows = np.zeros(len(self._points.kept), TRACE_DTYPE)
        for number, column in enumerate(_DRAWN):
            rows[column] = [point[number] for point in self._points.kept]
        rows = rows[np.lexsort((rows["time_us"], rows["tracker"]))]
        begins = np.flatnonzero(np.diff(rows["tracker"], prepend=-1))
        found: list[tuple[str, NDArray[np.float64]]] = []
        for of_device in np.split(rows, begins[1:]) if len(rows) else []:
            lon = np.unwrap(of_device["lon"], period=360)
            track = np.column_stack((lon, of_device["lat"]))
            found.append((self._ids[of_device["tracker"][0]], track))
        return sorted(found, key=lambda track: track[0])

    def transitions(self) -> list[DrawnTransition]:
        return self._transitions.kept

    def notes(self) -> list[str]:
        """What was left out, for people."""
        told: list[str] = []
        for name, thinned in (("fixes", self._points), ("transitions", self._transitions)):
            if thinned.stride > 1:
                told.append(
                    f"{len(thinned.kept):,} of {thinned.offered:,} {name} are drawn, "
                    f"one in {thinned.stride:,}"
                )
        return told
