"""Changes of trackers as the evaluator takes them: an asset is elsewhere, or nowhere, from then on.

A change is taken in once: it lies before the asset's clock then, and is not on the agenda again,
whether this process goes on or another reads the clock back. That a tracker is taken off an asset
which is nowhere is not taken in: fixes from before may still come, and are judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.judging.state import State
from geofence.model.no_fix_events import MOVE_DTYPE
from geofence.model.records import PLACE_DTYPE
from geofence.zones.versions import MAX_TIME_US, MIN_TIME_US
from ingest.registry.assignments import Assignments, AssignmentSpan, Spans
from ingest.registry.watermarks import Watermarks


class Move(NamedTuple):
    """A change of an asset's tracker. tracker: the one put on it; -1: it has none from then on."""

    asset: int
    tracker: int
    time_us: int


class Moves:
    """The assignments of each asset, as places where it is from then on."""

    def __init__(self) -> None:
        self._spans = Spans()  # of assets, about trackers
        self._place: dict[Move, NDArray[np.void] | None] = {}
        self._last_us = np.empty(0, np.int64)  # of each asset's moves
        self._unplaced: list[Move] = []
        self._doubtful: set[int] = set()
        self._organization = np.empty(0, np.int32)  # by asset

    def put(self, organization: int, move: Move, until_us: int) -> None:
        """Add an assignment, which ends at until_us, or replace what was known of it."""
        asset = move.asset
        if self._spans.put(asset, AssignmentSpan(move.time_us, until_us, move.tracker)):
            self._unplaced.append(move)
        self._reach(asset)
        self._organization[asset] = organization
        self._doubtful.add(asset)
        self._last_us[asset] = max(
            from_us if to_us == MAX_TIME_US else to_us
            for from_us, to_us, _ in self._spans.of(asset)
        )

    def unplaced(self, state: State, watermarks: Watermarks) -> list[Move]:
        """Return new moves whose tracker has a last place that matters and is not looked up."""
        moves = [
            move
            for move in self._unplaced
            if _done_us(state, move.asset) < move.time_us and watermarks.has_fix(move.tracker)
        ]
        self._unplaced = []
        return moves

    def later_than(self, since_us: Mapping[int, int]) -> list[Move]:
        """Return the moves that put a tracker on each asset after its instant."""
        return [
            move
            for asset, after_us in since_us.items()
            for move in self._moves(asset)
            if move.tracker >= 0 and move.time_us > after_us
        ]

    def since(self, asset: int, after_us: int, until_us: int) -> NDArray[np.void]:
        """Return MOVE_DTYPE: all that happened to the asset in (after_us, until_us], in order."""
        return self._as_moves(
            [
                (asset, move.time_us, *self._place_after(move))
                for move in self._moves(asset)
                if after_us < move.time_us <= until_us
            ]
        )

    def place(self, move: Move, place: NDArray[np.void] | None) -> None:
        """Note where the tracker was when it was put on the asset (PLACE_DTYPE, ()), if known."""
        self._place[move] = place

    def is_placed(self, move: Move) -> bool:
        """Return whether it was looked up where the tracker was then."""
        return move in self._place

    def is_newer(self, move: Move, time_us: int, seq: int) -> bool:
        """Return whether a fix of the tracker from before is newer than the place that is known."""
        place = self._place[move]
        return place is None or (time_us, seq) > (int(place["time_us"]), int(place["seq"]))

    def pending(
        self,
        state: State,
        fixes_of: NDArray[np.integer],
        assignments: Assignments,
        waiting: Sequence[int],
        *,
        of_all: bool,
    ) -> NDArray[np.void]:
        """Return MOVE_DTYPE, by asset, then time: what is not taken in yet.

        fixes_of: the assets that have fixes now, -1 for none; some may be there twice. waiting:
        those that have a backlog, whose moves are taken in with it. of_all: of the other assets
        too.
        """
        n = len(self._last_us)
        state.hold_assets(n)
        has_fix = np.zeros(n, bool)
        has_fix[fixes_of[(fixes_of >= 0) & (fixes_of < n)]] = True
        chosen = slice(n) if of_all else np.flatnonzero(has_fix)
        done_us = np.maximum(*(state.assets[name][chosen] for name in ("newest_us", "clock_us")))
        is_somewhere = state.assets["located"][chosen] | has_fix[chosen]
        last_begin_us = self._spans.last_from_us[:n][chosen]
        until_us = np.where(is_somewhere, self._last_us[chosen], last_begin_us)
        asset = np.arange(n)[chosen]
        behind = (until_us > done_us) & ~np.isin(asset, waiting)
        spans_us = zip(done_us[behind].tolist(), until_us[behind].tolist(), strict=True)
        rows = [
            (number, move.time_us, *self._place_after(move))
            for number, (after_us, last_us) in zip(asset[behind].tolist(), spans_us, strict=True)
            for move in self._moves(number)
            if after_us < move.time_us <= last_us
        ]
        if of_all and self._doubtful:
            nowhere = (False, np.zeros((), PLACE_DTYPE))
            lost = self._lost(state, assignments)
            rows += [(number, int(done_us[number]) + 1, *nowhere) for number in lost]
        return self._as_moves(rows)

    def _as_moves(self, rows: list[tuple[int, int, bool, NDArray[np.void]]]) -> NDArray[np.void]:
        moves = np.zeros(len(rows), MOVE_DTYPE)
        for row, (asset, time_us, is_located, place) in zip(moves, rows, strict=True):
            row["key"], row["time_us"] = asset, time_us
            row["organization"] = self._organization[asset]
            row["located"], row["place"] = is_located, place
        return moves[np.lexsort((moves["time_us"], moves["key"]))]

    def _place_after(self, move: Move) -> tuple[bool, NDArray[np.void]]:
        place = self._place.get(move)
        return place is not None, np.zeros((), PLACE_DTYPE) if place is None else place

    def _lost(self, state: State, assignments: Assignments) -> list[int]:
        """Return the assets whose last fix came from a tracker that was not on them then.

        This happens where a tracker is taken off at an instant before its last fix.
        """
        asset = np.array(sorted(self._doubtful), np.int64)
        row = state.assets[asset]
        by_fix = row["located"] & (row["clock_us"] <= row["newest_us"])
        asset, good = asset[by_fix], row["good"][by_fix]
        elsewhere = assignments.assets(good["tracker"], good["time_us"]) != asset
        self._doubtful = {
            number
            for number, tracker, time_us in zip(
                asset[elsewhere].tolist(),
                good["tracker"][elsewhere].tolist(),
                good["time_us"][elsewhere].tolist(),
                strict=True,
            )
            if not self._is_put_on_after(number, tracker, time_us)
        }
        return sorted(self._doubtful)

    def _is_put_on_after(self, asset: int, tracker: int, time_us: int) -> bool:
        """Return whether the asset is where the tracker was before it was put on."""
        spans = self._spans.of(asset)
        return any(
            moved_tracker == tracker and time_us < from_us for from_us, _, moved_tracker in spans
        )

    def _moves(self, asset: int) -> list[Move]:
        """Return the moves in order; tracker -1: the asset has none.

        Where one tracker is taken off and another is put on, the other counts.
        """
        return list({move.time_us: move for move in self._ends_and_begins(asset)}.values())

    def _ends_and_begins(self, asset: int) -> Iterator[Move]:
        for from_us, to_us, tracker in self._spans.of(asset):
            yield Move(asset, tracker, from_us)
            if to_us != MAX_TIME_US:
                yield Move(asset, -1, to_us)

    def _reach(self, asset: int) -> None:
        missing = asset + 1 - len(self._last_us)
        if missing > 0:
            room = max(missing, len(self._last_us))
            self._last_us = np.append(self._last_us, np.full(room, MIN_TIME_US))
            self._organization = np.append(self._organization, np.zeros(room, np.int32))
            self._spans.hold(len(self._last_us))


def _done_us(state: State, asset: int) -> int:
    if asset >= len(state.assets):
        return MIN_TIME_US
    row = state.assets[asset : asset + 1]
    return int(max(row["newest_us"][0], row["clock_us"][0]))
