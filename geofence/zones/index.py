"""All zone versions of all organizations, as columns that compiled code searches.

A `ZoneIndex` is immutable. `with_changes` returns a new index that shares nearly everything with
the old one; work that began with the old index may end with it. The boxes of all versions lie in a
packed R-tree (`geofence.zones.rtree`). The boxes of recent edits lie in a second, small tree, which
is packed again with each edit and joins the first tree when it has grown.

Organizations lie apart in one tree: the boxes of organization k are shifted by k times 1,080
degrees, farther than any longitude reaches, so one look-up finds the zones of a point's own
organization only. The exact test uses the coordinates as they are. Adding the shift rounds, but
rounding keeps the order of numbers, so a point in a box is still in it afterwards.

A shape over the 180th meridian has longitudes beyond 180: its boxes are entered once for each turn
of the globe that leads into [-180, 180], and carry what to add to a point's longitude.

Ordinals of zones and organizations are small whole numbers that the caller gives out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.boxes import boxes
from geofence.geometry.packing import Arena, ArenaBuilder
from geofence.kernel.columns import Column
from geofence.kernel.compiled import Records
from geofence.model.rules import Rules
from geofence.shapes.types import Shape
from geofence.zones.rtree import Tree, pack
from geofence.zones.versions import (
    ENTRY_DTYPE,
    FILTER_DTYPE,
    MAX_TIME_US,
    MIN_TIME_US,
    RULE_COLUMNS,
    ZoneVersion,
    entries_of,
    no_marks,
    rule_values,
    with_more,
)

__all__ = ["MAX_TIME_US", "MIN_TIME_US", "ZoneIndex", "ZoneVersion"]

SHIFT_DEG = 1080.0
_RECENT_BOXES = 512  # or a share of all, if that is more
_RECENT_SHARE = 16
_TURNS = (-720.0, -360.0, 0.0, 360.0, 720.0)

PIECE_DTYPE = np.dtype(
    [
        ("entry", "<i8"),
        ("turn", "<f8"),  # degrees that bring a point into the frame of the shape
        ("first", "<i8"),  # the vertices of the piece that the box holds, in the arena
        ("last", "<i8"),
    ]
)


class ZoneArrays(NamedTuple):
    """The arrays that compiled code reads.

    base, recent: trees of boxes, their items numbers in `piece` (PIECE_DTYPE). entry (ENTRY_DTYPE)
    and valid_to_us: by entry. newest: the newest entry of each zone, -1. filter: FILTER_DTYPE, by
    filter, then asset. mark: MARK_DTYPE, see `geofence.zones.versions`; rewound: how often
    there came one that is older than the newest.
    """

    base: Tree
    recent: Tree
    piece: Records
    entry: Records
    valid_to_us: NDArray[np.int64]
    arena: Arena
    newest: NDArray[np.int64]
    filter: Records
    mark: Records
    newest_mark_us: int
    rewound: int
    max_gap_us: int
    most_vertices: int  # of any shape


class ZoneIndex:
    """Entries 0..n-1, one for each version of a zone, in the order in which they were given.

    arrays: for compiled code. zone_of, version_of, organization_of: int32, (n,), by entry.
    """

    def __init__(self, versions: Iterable[ZoneVersion] = ()) -> None:
        self._box = Column(np.empty((0, 4)))
        self._piece = Column(np.empty(0, PIECE_DTYPE))
        self._entry = Column(np.empty(0, ENTRY_DTYPE))
        self._builder = ArenaBuilder()  # shared: it only adds
        self._valid_to_us = np.empty(0, np.int64)
        self._newest = np.empty(0, np.int64)
        self._filter = np.empty(0, FILTER_DTYPE)
        self._zone_marks = self._marks = no_marks()
        self._base_boxes = self._max_gap_us = self._most_vertices = self._rewound = 0
        self._newest_mark_us = MIN_TIME_US
        self._base = self._recent = pack(self._box.rows, np.empty(0, np.int64))
        self._apply(list(versions))

    def __len__(self) -> int:
        return len(self._entry.rows)

    @property
    def zone_of(self) -> NDArray[np.int32]:
        return self.arrays.entry["zone"]

    @property
    def version_of(self) -> NDArray[np.int32]:
        return self.arrays.entry["version"]

    @property
    def organization_of(self) -> NDArray[np.int32]:
        return self.arrays.entry["organization"]

    def with_changes(self, changed: Iterable[ZoneVersion]) -> "ZoneIndex":
        """Return an index in which `changed` join the versions of this one.

        What a version is never changes: of one that is known only the end is taken. Raises
        ValueError where a version begins before one of its zone that is known, or is new and has no
        shape.
        """
        result = self._copy()
        result._apply(list(changed))
        return result

    def with_filters(self, rows: NDArray[np.void]) -> "ZoneIndex":
        """Return an index whose filters are those of `rows`: FILTER_DTYPE, in any order."""
        result = self._copy()
        result._filter = rows[np.lexsort((rows["from_us"], rows["asset"], rows["filter"]))]
        result._mark()
        result._settle()
        return result

    def with_rules(self, changed: Mapping[tuple[int, int], Rules]) -> "ZoneIndex":
        """Return an index that judges by other rules in versions that are known:
        (zone, version).
        """
        result = self._copy()
        entries = self._entry.rows.copy()
        for (zone, version), rules in changed.items():
            entry = self._find(zone, version)
            for name, value in zip(RULE_COLUMNS, rule_values(rules), strict=True):
                entries[name][entry] = value
        result._entry = Column(entries)
        result._max_gap_us = int(entries["gap_us"].max(initial=0))
        result._settle()
        return result

    def version_at(self, zone: int, time_us: int) -> int:
        """Return the version of a zone that was the last to begin by then, its first one before."""
        entry = first = int(self._newest[zone])
        rows = self._entry.rows
        while entry >= 0 and rows["valid_from_us"][entry] > time_us:
            entry, first = int(rows["before"][entry]), entry
        return int(rows["version"][entry if entry >= 0 else first])

    def organizations_with_marks(self, after_us: int, until_us: int) -> NDArray[np.int64]:
        """Return the organizations for which something begins or ends to be in force in (after_us,
        until_us].
        """
        if self.arrays.newest_mark_us <= after_us:
            return np.empty(0, np.int64)
        mark = self.arrays.mark
        return np.unique(mark["key"][(mark["time_us"] > after_us) & (mark["time_us"] <= until_us)])

    def _copy(self) -> "ZoneIndex":
        result = ZoneIndex.__new__(ZoneIndex)
        result.__dict__.update(self.__dict__)
        return result

    def _apply(self, changed: Sequence[ZoneVersion]) -> None:
        self._valid_to_us = self._valid_to_us.copy()
        new: list[ZoneVersion] = []
        for version in changed:
            entry = self._find(version.zone, version.version)
            if entry is None:
                new.append(version)
            else:
                self._valid_to_us[entry] = version.valid_to_us
        if new:
            self._append(sorted(new, key=lambda v: (v.zone, v.valid_from_us, v.version)))
        self._zone_marks = with_more(
            self._zone_marks,
            np.array([v.organization for v in changed for _ in range(3)], np.int64),
            np.array(
                [t for v in changed for t in (v.valid_from_us, v.made_us, v.valid_to_us)], np.int64
            ),
        )
        self._mark()
        self._settle()

    def _mark(self) -> None:
        """Note when something begins or ends to be in force, because of a version or a filter."""
        known = len(self._marks)
        self._marks = with_more(
            self._zone_marks,
            np.concatenate((self._filter["organization"], self._filter["organization"])),
            np.concatenate((self._filter["from_us"], self._filter["to_us"])),
        )
        time_us = self._marks["time_us"]
        if len(time_us) - known > np.count_nonzero(time_us > self._newest_mark_us):
            self._rewound += 1
        self._newest_mark_us = int(time_us.max(initial=MIN_TIME_US))

    def _find(self, zone: int, version: int) -> int | None:
        entry = int(self._newest[zone]) if zone < len(self._newest) else -1
        while entry >= 0 and self._entry.rows["version"][entry] != version:
            entry = int(self._entry.rows["before"][entry])
        return entry if entry >= 0 else None

    def _append(self, versions: Sequence[ZoneVersion]) -> None:
        first = len(self)
        entries = entries_of(versions)
        entries["before"] = self._linked(entries["zone"], first)
        self._check_order(entries)
        shapes = [version.shape for version in versions if version.shape is not None]
        if len(shapes) < len(versions):
            raise ValueError("a new version has no shape")
        entries["shape"] = self._builder.add(shapes)
        vertices = entries["shape"]["last"] - entries["shape"]["first"]
        self._most_vertices = max(self._most_vertices, int(vertices.max()))
        self._entry = self._entry.with_more(entries)
        self._max_gap_us = max(self._max_gap_us, int(entries["gap_us"].max()))
        ends = np.array([version.valid_to_us for version in versions], np.int64)
        self._valid_to_us = np.concatenate((self._valid_to_us, ends))
        box, piece = _pieces(shapes, entries, first)
        self._box, self._piece = self._box.with_more(box), self._piece.with_more(piece)

    def _linked(self, zone: NDArray[np.int32], first: int) -> NDArray[np.int64]:
        """Return the entry before each new one in its zone; notes the newest."""
        newest = np.full(max(int(zone.max()) + 1, len(self._newest)), -1, np.int64)
        newest[: len(self._newest)] = self._newest
        same = np.zeros(len(zone), bool)
        same[1:] = zone[1:] == zone[:-1]
        before = np.where(same, np.arange(len(zone)) + first - 1, newest[zone])
        newest[zone] = np.arange(len(zone)) + first  # of several the last, which is the newest
        self._newest = newest
        return before

    def _check_order(self, entries: NDArray[np.void]) -> None:
        known = np.flatnonzero((entries["before"] >= 0) & (entries["before"] < len(self)))
        earlier = self._entry.rows[entries["before"][known]]["valid_from_us"]
        wrong = known[earlier > entries["valid_from_us"][known]]
        if len(wrong):
            zone, version = entries[["zone", "version"]][wrong[0]]
            raise ValueError(f"version {version} of zone {zone} begins before an older version")

    def _settle(self) -> None:
        """Pack the new zones and hand everything to compiled code."""
        boxes_now = len(self._box.rows)
        if boxes_now - self._base_boxes > max(_RECENT_BOXES, boxes_now // _RECENT_SHARE):
            self._base, self._base_boxes = _tree(self._box.rows, 0), boxes_now
        self._recent = _tree(self._box.rows[self._base_boxes :], self._base_boxes)
        self.arrays = ZoneArrays(
            base=self._base,
            recent=self._recent,
            piece=self._piece.rows,
            entry=self._entry.rows,
            valid_to_us=self._valid_to_us,
            arena=self._builder.arena,
            newest=self._newest,
            filter=self._filter,
            mark=self._marks,
            newest_mark_us=self._newest_mark_us,
            rewound=self._rewound,
            max_gap_us=self._max_gap_us,
            most_vertices=self._most_vertices,
        )


def _tree(box: NDArray[np.float64], first: int) -> Tree:
    return pack(box, np.arange(first, first + len(box)))


def _pieces(
    shapes: Sequence[Shape], entries: NDArray[np.void], first_entry: int
) -> tuple[NDArray[np.float64], NDArray[np.void]]:
    """Return the boxes of new entries, at every turn at which they are met, and what each holds."""
    edges = boxes(shapes, entries["shape"])
    number = edges["shape"]
    piece = np.zeros(len(edges), PIECE_DTYPE)
    piece["entry"] = number + first_entry
    for end in ("first", "last"):
        piece[end] = edges[end] + entries["shape"]["first"][number]
    box = np.stack([edges[side] for side in ("west", "south", "east", "north")], axis=1)
    shift = entries["organization"][number] * SHIFT_DEG
    turned = [_turned(box, piece, shift, turn) for turn in _TURNS]
    return np.concatenate([b for b, _ in turned]), np.concatenate([p for _, p in turned])


def _turned(
    box: NDArray[np.float64], piece: NDArray[np.void], shift: NDArray[np.float64], turn: float
) -> tuple[NDArray[np.float64], NDArray[np.void]]:
    """Return the boxes that meet [-180, 180] after a turn, turned and apart by organization."""
    met = (box[:, 0] + turn <= 180) & (box[:, 2] + turn >= -180)
    turned, kept = box[met], piece[met]
    turned[:, [0, 2]] += (turn + shift[met])[:, None]
    kept["turn"] = -turn
    return turned, kept
