"""The sample of a replay that a map draws: every fix and transition of a short one, every
so-and-so-many-th else.

Bounded: where there are more than MAX_POINTS fixes (MAX_TRANSITIONS transitions), every second one
that was kept is dropped, and from then on only every second one is kept. One device may be chosen:
its fixes and transitions are kept apart, and thinned only beyond MAX_CHOSEN_POINTS fixes. Breaches
are counted before anything is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from geofence.model.policy import BREACH
from stack.replay.input.trace_rows import TRACE_DTYPE
from stack.replay.output.formats import TransitionRows
from telemetry.times import format_times

MAX_POINTS = 200_000
MAX_TRANSITIONS = 20_000
MAX_CHOSEN_POINTS = 1_000_000

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
        """Choose which of the next `count` items to keep; they must then be given to `keep`."""
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
    time_us: int
    time: str
    zone_id: str
    transition: str
    lon: float
    lat: float
    cause: str
    inferred: str
    event: str


class Track(NamedTuple):
    """The drawn track of one device, in order of time.

    places: lon and lat in degrees, (n, 2); longitudes go on past 180 degrees where the device does.
    time_us: (n,), since 1970.
    """

    device_id: str
    places: NDArray[np.float64]
    time_us: NDArray[np.int64]


class MapSample:
    """The sample that a map draws, gathered while a replay runs. chosen: the id of a device that is
    not thinned.
    """

    def __init__(
        self,
        max_points: int = MAX_POINTS,
        max_transitions: int = MAX_TRANSITIONS,
        chosen: str | None = None,
        max_chosen_points: int = MAX_CHOSEN_POINTS,
    ) -> None:
        self._points = _Thinned[tuple[int, int, float, float]](max_points)
        self._transitions = _Thinned[DrawnTransition](max_transitions)
        self._chosen_points = _Thinned[tuple[int, int, float, float]](max_chosen_points)
        self._chosen_transitions = _Thinned[DrawnTransition](max_transitions)
        self._chosen = chosen
        self._ids: Sequence[str] = []
        self.breaches: Counter[str] = Counter()  # by zone

    @property
    def knows_chosen(self) -> bool:
        """Whether the chosen device, if any, is one of the trace."""
        return self._chosen is None or self._chosen in self._ids

    def add_fixes(self, rows: NDArray[np.void], ids: Sequence[str]) -> None:
        """Add fixes. ids: the devices, by tracker; grows."""
        self._ids = ids
        for start in range(0, len(rows), _AT_ONCE):  # few at once, before they are thinned
            some = rows[start : start + _AT_ONCE]
            is_chosen = self._is_chosen(some)
            _keep_points(self._chosen_points, some[is_chosen])
            _keep_points(self._points, some[~is_chosen])

    def _is_chosen(self, rows: NDArray[np.void]) -> NDArray[np.bool_]:
        if self._chosen is None or self._chosen not in self._ids:
            return np.zeros(len(rows), np.bool_)
        return rows["tracker"] == self._ids.index(self._chosen)

    def add_transitions(self, rows: TransitionRows) -> None:
        pairs = zip(rows.zone_id, rows.event, strict=True)
        self.breaches.update(zone for zone, event in pairs if event == BREACH)
        is_chosen = np.array([device == self._chosen for device in rows.device_id], np.bool_)
        for kept, chosen in (
            (self._transitions, np.flatnonzero(~is_chosen)),
            (self._chosen_transitions, np.flatnonzero(is_chosen)),
        ):
            places = kept.places(len(chosen))
            kept.keep(_drawn(rows, chosen[places.start :: places.step].tolist()))

    def tracks(self) -> list[Track]:
        """Return the devices' tracks, by device id."""
        points = [*self._points.kept, *self._chosen_points.kept]
        rows = np.zeros(len(points), TRACE_DTYPE)
        for number, column in enumerate(_DRAWN):
            rows[column] = [point[number] for point in points]
        rows = rows[np.lexsort((rows["time_us"], rows["tracker"]))]
        begins = np.flatnonzero(np.diff(rows["tracker"], prepend=-1))
        tracks: list[Track] = []
        for of_device in np.split(rows, begins[1:]) if len(rows) else []:
            lon = np.unwrap(of_device["lon"], period=360)
            places = np.column_stack((lon, of_device["lat"]))
            tracks.append(
                Track(self._ids[int(of_device["tracker"][0])], places, of_device["time_us"])
            )
        return sorted(tracks, key=lambda track: track.device_id)

    def transitions(self) -> list[DrawnTransition]:
        return [*self._transitions.kept, *self._chosen_transitions.kept]

    def notes(self) -> list[str]:
        """Return what was left out, for people."""
        notes: list[str] = []
        of_chosen = f" of {self._chosen}"
        others = " of the other devices" if self._chosen_points.offered else ""
        for name, thinned in (
            (f"fixes{others}", self._points),
            (f"transitions{others}", self._transitions),
            (f"fixes{of_chosen}", self._chosen_points),
            (f"transitions{of_chosen}", self._chosen_transitions),
        ):
            if thinned.stride > 1:
                notes.append(
                    f"{len(thinned.kept):,} of {thinned.offered:,} {name} are drawn, "
                    f"one in {thinned.stride:,}"
                )
        return notes


def _keep_points(kept: _Thinned[tuple[int, int, float, float]], rows: NDArray[np.void]) -> None:
    places = kept.places(len(rows))
    values = [rows[column][places.start :: places.step].tolist() for column in _DRAWN]
    kept.keep(list(zip(*values, strict=True)))


def _drawn(rows: TransitionRows, places: Sequence[int]) -> list[DrawnTransition]:
    times = format_times(rows.time_us[places])
    return [
        DrawnTransition(
            rows.device_id[place], int(rows.time_us[place]), time, rows.zone_id[place],
            rows.transition[place], float(rows.lon[place]), float(rows.lat[place]),
            rows.cause[place], rows.inferred[place], rows.event[place],
        )
        for place, time in zip(places, times, strict=True)
    ]  # fmt: skip
