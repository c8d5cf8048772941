"""The evaluator's memory of each asset: its place, the zones it is in, the runs under way.

A state changes only by `apply`; until then `evaluate` may be repeated from the same state. A
caller that applies a delta before its COMMIT asks `undo` first, and reverts the delta if the COMMIT
fails. The cost of reading and applying is proportional to the assets concerned, not to all assets.

Assets are small whole numbers that the caller assigns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.judging.scratch import Workspace
from geofence.model.records import ASSET_DTYPE, MEMBERSHIP_DTYPE
from geofence.zones.versions import MIN_TIME_US, NEVER_US

VISIT_COLUMNS = (
    "entered_us",
    "first_fix_tracker",
    "first_fix_us",
    "first_fix_seq",
    "change_us",
    "entered_version",
)

_LEAST_ROOM = 64


@dataclass(frozen=True, slots=True)
class StateDelta:
    """The changes of one batch.

    assets: ASSET_DTYPE, one row for each asset that had a fix or a change. count: how many
    memberships each has afterwards, (assets,); memberships: MEMBERSHIP_DTYPE, all of them, in order
    of `assets`. ticked_us: the time up to which all assets have been judged, with or without a fix;
    mark: the marks of the zones up to which they have.
    """

    assets: NDArray[np.void]
    count: NDArray[np.int64]
    memberships: NDArray[np.void]
    ticked_us: int = MIN_TIME_US
    mark: NDArray[np.void] | None = None

    def replaced_by(self, others: "list[StateDelta]") -> "StateDelta":
        """Return this delta with the assets of the others replaced by what the others hold."""
        if not others:
            return self
        elsewhere = np.concatenate([other.assets["asset"] for other in others])
        kept = ~np.isin(self.assets["asset"], elsewhere)
        members = self.memberships[np.repeat(kept, self.count)]
        return StateDelta(
            np.concatenate((self.assets[kept], *(part.assets for part in others))),
            np.concatenate((self.count[kept], *(part.count for part in others))),
            np.concatenate((members, *(part.memberships for part in others))),
            self.ticked_us,
            self.mark,
        )


class State:
    """One row for each asset, and its memberships.

    assets: ASSET_DTYPE by number of the asset. The memberships of an asset lie side by side in one
    long array, with some room to grow; an asset that outgrows its room moves to the end, and the
    array is packed anew when it is full. ticked_us, mark: as in StateDelta; next_due_us: no
    deadline of any asset lies before it.
    """

    def __init__(self) -> None:
        self.workspace = Workspace()
        self._clear()

    def _clear(self) -> None:
        self.assets = np.zeros(0, ASSET_DTYPE)
        self.start = np.zeros(0, np.int64)
        self.count = np.zeros(0, np.int64)
        self.rows = np.zeros(0, MEMBERSHIP_DTYPE)
        self._room = np.zeros(0, np.int64)
        self._used = 0
        self.ticked_us = MIN_TIME_US
        self.mark: NDArray[np.void] | None = None
        self.next_due_us = NEVER_US

    def memberships(self) -> NDArray[np.void]:
        """Return all memberships (MEMBERSHIP_DTYPE), by asset."""
        return self.rows[_ranges(self.start, self.count)]

    def hold_assets(self, n: int) -> None:
        """Make room for the assets 0..n-1; of new ones nothing is known."""
        more = n - len(self.assets)
        if more <= 0:
            return
        more = max(more, len(self.assets) // 2, _LEAST_ROOM)
        self.assets = np.concatenate((self.assets, blank_assets(len(self.assets), more)))
        nothing = np.zeros(more, np.int64)
        self.start = np.concatenate((self.start, nothing))
        self.count = np.concatenate((self.count, nothing))
        self._room = np.concatenate((self._room, nothing))

    def undo(self, delta: StateDelta) -> Callable[[], None]:
        """Return what takes `delta`, applied next, back again."""
        assets = delta.assets["asset"]
        self.hold_assets(int(assets.max(initial=-1)) + 1)
        count = self.count[assets]
        members = self.rows.take(_ranges(self.start[assets], count))  # an index takes longer
        before = StateDelta(self.assets.take(assets), count, members)
        looked_at = self.ticked_us, self.mark, self.next_due_us

        def undo() -> None:
            self.apply(before)
            self.ticked_us, self.mark, self.next_due_us = looked_at

        return undo

    def apply(self, delta: StateDelta) -> None:
        """Take in what a batch changed; where that fails to be stored, the state is worthless."""
        assets = delta.assets["asset"]
        self.hold_assets(int(assets.max(initial=-1)) + 1)
        self.assets[assets] = delta.assets
        self._make_room(assets, delta.count)
        self.rows[_ranges(self.start[assets], delta.count)] = delta.memberships
        if delta.ticked_us not in (MIN_TIME_US, self.ticked_us):  # less, where the clock fell back
            self.ticked_us, self.mark = delta.ticked_us, delta.mark
            self.next_due_us = int(self.assets["due_us"].min(initial=NEVER_US))
        else:
            earliest_us = int(delta.assets["due_us"].min(initial=NEVER_US))
            self.next_due_us = min(self.next_due_us, earliest_us)

    def forget(self, asset: int) -> None:
        self.assets[asset : asset + 1] = blank_assets(asset, 1)
        self.count[asset] = 0

    def restore(self, assets: NDArray[np.void], memberships: NDArray[np.void]) -> None:
        """Forget everything and begin from stored rows (ASSET_DTYPE, MEMBERSHIP_DTYPE).

        Raises ValueError where an asset or a membership is given twice, or a membership without its
        asset.
        """
        memberships = memberships[np.lexsort((memberships["zone"], memberships["asset"]))]
        key = memberships["asset"].astype(np.int64) << 32 | memberships["zone"]
        if np.any(key[1:] == key[:-1]):
            raise ValueError("two memberships for one asset and zone")
        order = np.argsort(assets["asset"], kind="stable")
        assets = assets[order]
        if np.any(assets["asset"][1:] == assets["asset"][:-1]):
            raise ValueError("two rows for one asset")
        if not np.isin(memberships["asset"], assets["asset"]).all():
            raise ValueError("a membership of an asset that is not given")
        self._clear()
        begin = np.searchsorted(memberships["asset"], assets["asset"])
        end = np.searchsorted(memberships["asset"], assets["asset"], "right")
        self.apply(StateDelta(assets, (end - begin).astype(np.int64), memberships))

    def _make_room(self, assets: NDArray[np.int32], count: NDArray[np.int64]) -> None:
        """Give each asset a place for `count` rows; what lay in the old place is not kept."""
        moving = count > self._room[assets]
        self.count[assets] = np.where(moving, 0, count)
        if not moving.any():
            return
        room = 2 ** np.ceil(np.log2(count[moving])).astype(np.int64)
        assets = assets[moving]
        if self._used + int(room.sum()) > len(self.rows):
            self._pack(int(room.sum()))
        self.start[assets] = self._used + np.cumsum(room) - room
        self._room[assets] = room
        self.count[assets] = count[moving]
        self._used += int(room.sum())

    def _pack(self, wanted: int) -> None:
        """Close the gaps and leave room for `wanted` rows, and as much again."""
        live = self.rows[_ranges(self.start, self.count)]
        self.start = np.cumsum(self.count) - self.count
        self._room = self.count.copy()
        self._used = len(live)
        self.rows = np.zeros(2 * (len(live) + wanted) + _LEAST_ROOM, MEMBERSHIP_DTYPE)
        self.rows[: len(live)] = live


def blank_assets(first: int, n: int) -> NDArray[np.void]:
    """Return ASSET_DTYPE rows of the assets first..first+n-1, of which nothing is known."""
    rows = np.zeros(n, ASSET_DTYPE)
    rows["asset"] = np.arange(first, first + n)
    rows["organization"] = -1
    rows["newest_us"] = rows["clock_us"] = rows["marked_us"] = MIN_TIME_US
    rows["due_us"] = NEVER_US
    return rows


def is_same_state(delta: StateDelta, other: StateDelta) -> bool:
    """Return whether two states of the same assets judge what follows alike."""
    if all(
        getattr(delta, part).tobytes() == getattr(other, part).tobytes()
        for part in ("assets", "count", "memberships")
    ):
        return True
    return np.array_equal(_meaning_of_assets(delta), _meaning_of_assets(other)) and np.array_equal(
        _meaning_of_memberships(delta), _meaning_of_memberships(other)
    )


def _meaning_of_assets(state: StateDelta) -> NDArray[np.uint8]:
    """Return the bytes of the rows, those of columns that mean nothing just now cleared."""
    rows = state.assets.copy()
    rows["good"][~rows["located"]] = 0
    rows["bridged"] &= rows["joined"]
    rows["fine"][~rows["bridged"]] = 0
    rows["marked_us"] = rows["rewound"] = 0  # they only spare looking again
    rows["due_us"] = 0  # follows from the rest: states that were read back do not have it
    settled = rows["suspects"] == 0  # then a clock before the newest fix tells nothing
    rows["clock_us"][settled] = np.maximum(rows["clock_us"], rows["newest_us"])[settled]
    for number in range(2):
        rows["suspect"][:, number][rows["suspects"] <= number] = 0
    return rows.view(np.uint8)


def _meaning_of_memberships(state: StateDelta) -> NDArray[np.uint8]:
    owner = np.repeat(np.arange(len(state.count)), state.count)
    rows = state.memberships[np.lexsort((state.memberships["zone"], owner))]
    rows["run_first"][rows["run"] == 0] = 0
    rows["again"] = 0  # it tells names apart, nothing else
    for name in (*VISIT_COLUMNS, "dwelled", "overspeed"):
        rows[name][~rows["inside"]] = 0
    return rows.view(np.uint8)


def _ranges(start: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return start[0], start[0] + 1, ... count[0] of them, then those of start[1], and so on."""
    before = np.cumsum(count) - count
    return np.repeat(start - before, count) + np.arange(int(count.sum()))
