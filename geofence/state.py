"""What the evaluator remembers: each asset's newest judged fix, and which zones it is in.

A state changes only through `apply`; until then `evaluate` may be repeated from the same state.
The caller applies what is stored: a state ahead of a commit that fails must be thrown away. Reading
and applying cost in proportion to the assets concerned, never to all assets.

Assets are small whole numbers that the caller gives out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LAST_DTYPE = np.dtype(
    [
        ("asset", "<i4"),
        ("time_us", "<i8"),
        ("seq", "<i4"),
        ("lat", "<f8"),  # degrees
        ("lon", "<f8"),
    ]
)

MEMBERSHIP_DTYPE = np.dtype(
    [
        ("asset", "<i4"),
        ("zone", "<i4"),
        ("entered_us", "<i8"),
        ("opening_tracker", "<i4"),  # identity of the fix that opened the visit
        ("opening_us", "<i8"),
        ("opening_seq", "<i4"),
        ("opening_change_us", "<i8"),  # the zone's change where that opened the visit, else 0
        ("opening_version", "<i4"),
    ]
)
OPENING_COLUMNS = (
    "entered_us",
    "opening_tracker",
    "opening_us",
    "opening_seq",
    "opening_change_us",
    "opening_version",
)

_NO_FIX = np.int64(np.iinfo(np.int64).min)
_LEAST_ROOM = 64


@dataclass(frozen=True, slots=True)
class StateDelta:
    """What a batch changes.

    last: LAST_DTYPE, each asset's newest judged fix, one row an asset.
    changed: assets whose memberships change, int32; count: how many each has afterwards;
    memberships: MEMBERSHIP_DTYPE, all of them, in order of `changed`, then zone.
    """

    last: NDArray[np.void]
    changed: NDArray[np.int32]
    count: NDArray[np.int32]
    memberships: NDArray[np.void]


class State:
    """Each asset's newest judged fix and its open memberships.

    The memberships of an asset lie side by side in one long array, with some room to grow; an asset
    that outgrows its room moves to the end, and the array is packed anew when it is full.
    """

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._last = np.zeros(0, LAST_DTYPE)
        self._start = np.zeros(0, np.int64)
        self._count = np.zeros(0, np.int64)
        self._room = np.zeros(0, np.int64)
        self._rows = np.zeros(0, MEMBERSHIP_DTYPE)
        self._used = 0

    def last_of(self, assets: NDArray[np.integer]) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """Newest judged fixes (LAST_DTYPE) of the assets, and for each whether there is one."""
        if not len(assets) or assets.max() >= len(self._last):
            known = assets < len(self._last)
            last = np.zeros(len(assets), LAST_DTYPE)
            last["time_us"] = _NO_FIX
            last[known] = self._last[assets[known]]
        else:
            last = self._last[assets]
        return last, last["time_us"] != _NO_FIX

    def memberships_of(
        self, assets: NDArray[np.integer]
    ) -> tuple[NDArray[np.void], NDArray[np.intp]]:
        """Open memberships (MEMBERSHIP_DTYPE) of the assets, and for each the asset's position."""
        position = np.flatnonzero(assets < len(self._last))
        count = self._count[assets[position]]
        some = np.flatnonzero(count)
        position, count = position[some], count[some]
        rows = self._rows[_ranges(self._start[assets[position]], count)]
        return rows, np.repeat(position, count)

    def memberships(self) -> NDArray[np.void]:
        """All open memberships (MEMBERSHIP_DTYPE), by asset, then zone."""
        return self._rows[_ranges(self._start, self._count)]

    def apply(self, delta: StateDelta) -> None:
        """Take in what a batch changed; where that fails to be stored, the state is worthless."""
        self._hold_assets(
            int(max(delta.last["asset"].max(initial=-1), delta.changed.max(initial=-1)))
        )
        self._last[delta.last["asset"]] = delta.last
        self._make_room(delta.changed, delta.count)
        self._rows[_ranges(self._start[delta.changed], self._count[delta.changed])] = (
            delta.memberships
        )

    def restore(self, last: NDArray[np.void], memberships: NDArray[np.void]) -> None:
        """Forget everything and begin from stored rows (LAST_DTYPE, MEMBERSHIP_DTYPE).

        An asset may have memberships without a last fix. Raises ValueError where a last fix or a
        membership is given twice.
        """
        if len(np.unique(last["asset"])) < len(last):
            raise ValueError("two last fixes for one asset")
        order = np.lexsort((memberships["zone"], memberships["asset"]))
        memberships = memberships[order]
        key = memberships["asset"].astype(np.int64) << 32 | memberships["zone"]
        if np.any(key[1:] == key[:-1]):
            raise ValueError("two open memberships for one asset and zone")
        changed, count = np.unique(memberships["asset"], return_counts=True)
        self._clear()
        self.apply(StateDelta(last, changed, count.astype(np.int32), memberships))

    def _hold_assets(self, highest: int) -> None:
        more = highest + 1 - len(self._last)
        if more <= 0:
            return
        more = max(more, len(self._last) // 2, _LEAST_ROOM)
        blank = np.zeros(more, LAST_DTYPE)
        blank["time_us"] = _NO_FIX
        self._last = np.concatenate((self._last, blank))
        nothing = np.zeros(more, np.int64)
        self._start = np.concatenate((self._start, nothing))
        self._count = np.concatenate((self._count, nothing))
        self._room = np.concatenate((self._room, nothing))

    def _make_room(self, assets: NDArray[np.int32], count: NDArray[np.int32]) -> None:
        """Give each asset a place for `count` rows; what lay in the old place is not kept."""
        moving = count > self._room[assets]
        self._count[assets] = np.where(moving, 0, count)
        if not moving.any():
            return
        room = 2 ** np.ceil(np.log2(count[moving])).astype(np.int64)
        assets = assets[moving]
        if self._used + int(room.sum()) > len(self._rows):
            self._pack(int(room.sum()))
        self._start[assets] = self._used + np.cumsum(room) - room
        self._room[assets] = room
        self._count[assets] = count[moving]
        self._used += int(room.sum())

    def _pack(self, wanted: int) -> None:
        """Close the gaps and leave room for `wanted` rows, and as much again."""
        live = self._rows[_ranges(self._start, self._count)]
        self._start = np.cumsum(self._count) - self._count
        self._room = self._count.copy()
        self._used = len(live)
        self._rows = np.zeros(2 * (len(live) + wanted) + _LEAST_ROOM, MEMBERSHIP_DTYPE)
        self._rows[: len(live)] = live


def _ranges(start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """start[0], start[0] + 1, ... count[0] of them, then those of start[1], and so on."""
    before = np.cumsum(count) - count
    return np.repeat(start - before, count) + np.arange(int(count.sum()))
