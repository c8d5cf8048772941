"""The scratch of compiled code: the zones, arrays to work in, and arrays for the results.

Nothing in the working arrays outlasts one asset of one batch. The arrays themselves are kept from
batch to batch, which saves allocating them. The cursor is one row: how far each array is filled,
and records to work in. The asset and the place that are judged are arguments of the functions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.crossing import ROWS_PER_VERTEX
from geofence.geometry.packing import SHAPE_DTYPE
from geofence.kernel.compiled import Record, Records, bare
from geofence.model.records import PLACE_DTYPE
from geofence.zones.index import ZoneArrays
from geofence.zones.rtree import STACK

CANDIDATE_DTYPE = np.dtype(
    [
        ("entry", "<i8"),
        ("inside", "?"),  # whether it covers the fix
        ("dealt_with", "?"),  # whether a membership has taken note
        ("met_first", "<f8"),  # where on the way to the fix (0..1) it is met; NaN: it is not
        ("met_last", "<f8"),
        ("met_m", "<f8"),  # how many metres of the way lie inside
        ("newest_hit", "<i8"),  # the last of its hits, -1
    ]
)

HIT_DTYPE = np.dtype(
    [
        ("slot", "<i8"),  # the candidate's place
        ("turn", "<f8"),  # degrees that bring the way into a frame in which they come near
        ("first", "<i8"),  # the vertices concerned
        ("last", "<i8"),
        ("before", "<i8"),  # the hit before of the same candidate, -1
    ]
)

_LEAST_SPANS = 256

LOOKUP_DTYPE = np.dtype([("stamp", "<i8"), ("place", "<i8")])  # good if the stamp is the newest

CURSOR_DTYPE = np.dtype(
    [
        ("base", "<i8"),  # the place of the current asset's first membership
        ("place", PLACE_DTYPE),  # the fix that is judged
        ("newest", PLACE_DTYPE),  # the newest fix while older ones are judged
        ("way", PLACE_DTYPE),  # a place that no fix shows
        ("shape", SHAPE_DTYPE),  # a piece of a shape
        ("vague", "?"),  # the asset's `vague` before the fix
        ("bridging", "?"),  # the way to the fix begins at the asset's `fine`, else at its `good`
        ("row", "<i8"),  # the number of the fix in the batch, -1
        ("received_us", "<i8"),  # when it was received
        ("stamp", "<i8"),  # counts look-ups
        ("candidates", "<i8"),  # how many of each there are
        ("hits", "<i8"),
        ("members", "<i8"),
        ("transitions", "<i8"),
        ("step", "<i8"),  # counts instants of judgement
        ("healed", "<i8"),
    ]
)


class Scratch(NamedTuple):
    """The arrays that the compiled functions share.

    cursor: CURSOR_DTYPE, (1,). stack, hits: of the tree search; spans: of `meets`.

    candidate (CANDIDATE_DTYPE): the zone versions near the way to the fix; slot: by entry, its
    place there. hit (HIT_DTYPE): the frames in which they come near. row: by zone, the number of
    the asset's membership. move, schedule_start: see `geofence.model.no_fix_events`. asset
    (ASSET_DTYPE), member (MEMBERSHIP_DTYPE), transition, healed (PLACE_DTYPE): what is found; the
    memberships of the current asset begin at member[cursor.base].
    """

    zones: ZoneArrays
    move: Records
    schedule_start: Records
    cursor: Records
    stack: NDArray[np.int64]
    hits: NDArray[np.int64]
    spans: NDArray[np.float64]
    candidate: Records
    slot: Records
    hit: Records
    row: Records
    asset: Records
    member: Records
    transition: Records
    healed: Records


@bare
def member_of(scratch: Scratch, number: int) -> Record:
    """Return one of the current asset's memberships, MEMBERSHIP_DTYPE."""
    return scratch.member[scratch.cursor[0].base + number]


class Output(NamedTuple):
    """The arrays in which a walk leaves its results."""

    asset: Records
    member: Records
    transition: Records
    healed: Records


class Workspace:
    """The arrays of a scratch that are kept from batch to batch."""

    def __init__(self) -> None:
        self._head = np.empty(0, np.int64)
        self._cursor = np.zeros(1, CURSOR_DTYPE)
        self._stack = np.zeros(STACK, np.int64)
        self._spans = np.zeros((_LEAST_SPANS, 2))
        self._slot = self._row = np.zeros(0, LOOKUP_DTYPE)
        self._make_room(64)

    def _make_room(self, room: int) -> None:
        self._hits = np.zeros(room, np.int64)
        self._candidate = np.zeros(room, CANDIDATE_DTYPE)
        self._hit = np.zeros(room, HIT_DTYPE)

    def head(self, assets: int) -> NDArray[np.int64]:
        """Return an array of -1 for each asset, which must be left that way."""
        if len(self._head) < assets:
            self._head = np.full(assets + assets // 8, -1, np.int64)
        return self._head

    def scratch(
        self,
        zones: ZoneArrays,
        agenda: tuple[NDArray[np.void], NDArray[np.void]],
        room: int,
        output: Output,
    ) -> Scratch:
        """Return a scratch that holds `room` zones near one place at least."""
        if len(self._hits) < room:
            self._make_room(room)
        spans = ROWS_PER_VERTEX * zones.most_vertices
        if len(self._spans) < spans:
            self._spans = np.zeros((spans, 2))
        self._slot = _of_length(self._slot, len(zones.entry))
        self._row = _of_length(self._row, len(zones.newest))
        cursor = self._cursor[0]
        cursor["transitions"] = cursor["healed"] = cursor["base"] = cursor["step"] = 0
        return Scratch(
            zones=zones,
            move=agenda[0],
            schedule_start=agenda[1],
            cursor=self._cursor,
            stack=self._stack,
            hits=self._hits,
            spans=self._spans,
            candidate=self._candidate,
            slot=self._slot,
            hit=self._hit,
            row=self._row,
            asset=output.asset,
            member=output.member,
            transition=output.transition,
            healed=output.healed,
        )


def _of_length(lookup: NDArray[np.void], least: int) -> NDArray[np.void]:
    return lookup if len(lookup) >= least else np.zeros(least + least // 8, LOOKUP_DTYPE)
