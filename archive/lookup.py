"""What an object of the archive has of a question: of trackers in times, and in an area.

Of the row groups those are read that may have some of it, first their keys and places, and then the
rows that are shown.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (pyarrow has no type information of its own)

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archive.objects import KEY, SCHEMA, TIME, split, telling_damage
from db.archive.archived_days import Piece
from db.fixes.areas import Area
from db.fixes.gps_history import PLACE_DTYPE, HistoryFix, HistoryKey
from db.history.binary_arrays import POSTGRES_EPOCH_US
from telemetry.times import to_datetime, to_us


def rows(
    found: Any,
    pieces: Sequence[Piece],
    area: Area | None,
    after: HistoryKey | None,
    limit: int,
    *,
    descending: bool,
) -> list[HistoryFix]:
    """Return the first `limit` fixes of the pieces behind a key, in order of time, tracker and seq.

    The assets are left out. Raises DamagedObject.
    """
    chosen = _Chosen(limit, descending)
    with telling_damage():
        for number, first_row in _groups_of(found, pieces):
            if not chosen.may_be_in(_times(found, number)):
                continue
            keys = _Keys(found, number, area)
            for begin, end in keys.slices(pieces):
                begin, end = keys.behind(after, begin, end, descending=descending)
                rows = keys.within(begin, end)
                chosen.add(keys.time_us[rows], rows + first_row)
        return _fixes(found, chosen.rows())


def count(found: Any, pieces: Sequence[Piece], area: Area | None, at_most: int) -> int:
    """Count the fixes of the pieces; counting ends at `at_most`. Raises DamagedObject."""
    counted = 0
    with telling_damage():
        for number, _ in _groups_of(found, pieces):
            keys = _Keys(found, number, area)
            counted += sum(len(keys.within(*edges)) for edges in keys.slices(pieces))
            if counted >= at_most:
                break
    return min(counted, at_most)


def count_known(found: Any, fixes: Sequence[HistoryKey]) -> int:
    """Count those of the fixes that the object has. Raises DamagedObject."""
    wanted = {(fix.tracker_id, to_us(fix.time), fix.seq) for fix in fixes}
    pieces = [Piece(tracker, time_us, time_us + 1) for tracker, time_us, _ in sorted(wanted)]
    with telling_damage():
        known: set[tuple[UUID, int, int]] = set()
        for number, _ in _groups_of(found, pieces):
            keys = _Keys(found, number, None)
            known.update(map(keys.identity, keys.rows(pieces)))
    return len(wanted & known)


def places(
    found: Any, pieces: Sequence[Piece], area: Area | None, at_most: int
) -> NDArray[np.void]:
    """Return the places of the fixes of the pieces, and `at_most` or more where there are more:
    PLACE_DTYPE, (n,). Raises DamagedObject.
    """
    parts = [np.empty(0, PLACE_DTYPE)]
    with telling_damage():
        for number, _ in _groups_of(found, pieces):
            keys = _Keys(found, number, area, has_places=True)
            parts += [keys.places(keys.within(*edges)) for edges in keys.slices(pieces)]
            if sum(map(len, parts)) >= at_most:
                break
    return np.concatenate(parts)


def at_keys(found: Any, wanted: Sequence[HistoryKey]) -> list[HistoryFix]:
    """Return those of the fixes that the object has, without assets. Raises DamagedObject."""
    identities = {(key.tracker_id, to_us(key.time), key.seq) for key in wanted}
    pieces = sorted({Piece(tracker, time_us, time_us + 1) for tracker, time_us, _ in identities})
    numbers: list[int] = []
    with telling_damage():
        for number, first_row in _groups_of(found, pieces):
            keys = _Keys(found, number, None)
            numbers += [
                first_row + row for row in keys.rows(pieces) if keys.identity(row) in identities
            ]
        return _fixes(found, np.array(numbers, np.int64))


class _Keys:
    """The keys of a row group: rows of a tracker stand together, in order of time and seq. area: in
    which rows are wanted.
    """

    def __init__(
        self, found: Any, number: int, area: Area | None, *, has_places: bool = False
    ) -> None:
        columns = [*KEY, "lat", "lon"] if area is not None or has_places else KEY
        table = found.read_row_group(number, columns=columns)
        self._area, self._table = area, table
        trackers = table["tracker_id"].combine_chunks().dictionary_encode()
        codes = trackers.indices.to_numpy()
        names = trackers.dictionary.to_pylist()
        edges = np.searchsorted(codes, np.arange(len(names) + 1))
        self._span_of = {
            UUID(name): (int(edges[code]), int(edges[code + 1])) for code, name in enumerate(names)
        }
        self._tracker_of = names
        self._codes = codes
        self.time_us: NDArray[np.int64] = table["time"].cast(pa.int64()).to_numpy()
        self._seq: NDArray[np.int32] = table["seq"].to_numpy()

    def slices(self, pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
        for piece in pieces:
            begin, end = self._span_of.get(piece.tracker_id, (0, 0))
            times = self.time_us[begin:end]
            first, last = np.searchsorted(times, (piece.since_us, piece.until_us))
            if first < last:
                yield begin + int(first), begin + int(last)

    def within(self, begin: int, end: int) -> NDArray[np.int64]:
        """Return those of the rows [begin, end) that lie in the area."""
        rows = np.arange(begin, end)
        if self._area is None:
            return rows
        lat, lon = (self._table[name].to_numpy()[begin:end] for name in ("lat", "lon"))
        rows = rows[self._area.box.holds(lat, lon)]
        if self._area.covers is None:
            return rows
        inside = self._area.covers(
            self.time_us[rows], lon[rows - begin].copy(), lat[rows - begin].copy()
        )
        return rows[inside]

    def rows(self, pieces: Sequence[Piece]) -> Iterator[int]:
        for begin, end in self.slices(pieces):
            yield from range(begin, end)

    def identity(self, row: int) -> tuple[UUID, int, int]:
        tracker_id, seq = self._key(row)
        return tracker_id, int(self.time_us[row]), seq

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.void]:
        """Return PLACE_DTYPE, (n,)."""
        places = np.empty(len(rows), PLACE_DTYPE)
        trackers = np.array([UUID(name).bytes for name in self._tracker_of], "V16")
        places["tracker_id"] = trackers[self._codes[rows]]
        places["time"] = self.time_us[rows] - POSTGRES_EPOCH_US
        places["seq"] = self._seq[rows]
        for name in ("lat", "lon"):
            places[name] = self._table[name].to_numpy()[rows]
        return places

    def behind(
        self, after: HistoryKey | None, begin: int, end: int, *, descending: bool
    ) -> tuple[int, int]:
        """Cut rows [begin, end) of one tracker off at a key."""
        if after is None:
            return begin, end
        times, at_us = self.time_us[begin:end], to_us(after.time)
        low, high = (begin + int(np.searchsorted(times, at_us, side)) for side in ("left", "right"))
        is_behind = [
            row
            for row in range(low, high)
            if (self._key(row) < (after.tracker_id, after.seq)) == descending
            and self._key(row) != (after.tracker_id, after.seq)
        ]
        if descending:
            return begin, low + len(is_behind)
        return high - len(is_behind), end

    def _key(self, row: int) -> tuple[UUID, int]:
        return UUID(self._tracker_of[self._codes[row]]), int(self._seq[row])


class _Chosen:
    """The first rows of an order by time and place in the object, up to a limit."""

    def __init__(self, limit: int, descending: bool) -> None:
        self._limit, self._sign = limit, -1 if descending else 1
        self._times: list[NDArray[np.int64]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._worst: int | None = None

    def may_be_in(self, times: tuple[int, int]) -> bool:
        """Return whether a row of these times, first and last, can be among the first."""
        return self._worst is None or self._sign * times[0 if self._sign > 0 else 1] <= self._worst

    def add(self, time_us: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._times.append(time_us)
        self._rows.append(rows)
        if sum(map(len, self._rows)) > 4 * self._limit:
            self._cut()

    def rows(self) -> NDArray[np.int64]:
        """Return the rows in order."""
        self._cut()
        return self._rows[0]

    def _cut(self) -> None:
        times = np.concatenate([np.empty(0, np.int64), *self._times]) * self._sign
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        order = np.lexsort((rows * self._sign, times))[: self._limit]
        self._times, self._rows = [times[order] * self._sign], [rows[order]]
        if len(order) == self._limit > 0:
            self._worst = int(times[order[-1]])


def _groups(found: Any) -> Iterator[tuple[int, int]]:
    """Yield the number of each row group, and that of its first row in the object."""
    first_row = 0
    for number in range(found.num_row_groups):
        yield number, first_row
        first_row += found.metadata.row_group(number).num_rows


def _groups_of(found: Any, pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Yield those that may have rows of the pieces' trackers."""
    trackers = sorted({str(piece.tracker_id) for piece in pieces})
    for number, first_row in _groups(found):
        statistics = _statistics(found, number, "tracker_id")
        begin = bisect_left(trackers, statistics.min)
        if begin < len(trackers) and trackers[begin] <= statistics.max:
            yield number, first_row


def _times(found: Any, number: int) -> tuple[int, int]:
    statistics = _statistics(found, number, "time")
    return to_us(statistics.min), to_us(statistics.max)


def _statistics(found: Any, number: int, column: str) -> Any:
    return found.metadata.row_group(number).column(SCHEMA.names.index(column)).statistics


def _fixes(found: Any, wanted: NDArray[np.int64]) -> list[HistoryFix]:
    fixes: list[HistoryFix | None] = [None] * len(wanted)
    for number, first_row in _groups(found):
        last_row = first_row + found.metadata.row_group(number).num_rows
        places = np.flatnonzero((wanted >= first_row) & (wanted < last_row))
        if len(places):
            some = found.read_row_group(number).take(wanted[places] - first_row)
            for place, fix in zip(places.tolist(), _fixes_of(some), strict=True):
                fixes[place] = fix
    return [fix for fix in fixes if fix is not None]


def _fixes_of(table: Any) -> Iterator[HistoryFix]:
    columns = [_values(column) for column in table.columns]
    for tracker, time_us, seq, received_us, *values in zip(*columns, strict=True):
        times = (to_datetime(time_us), seq, to_datetime(received_us))
        yield HistoryFix(UUID(tracker), None, *times, *values)


def _values(column: Any) -> list[Any]:
    if column.type == TIME:
        return column.cast(pa.int64()).to_pylist()
    if column.type == pa.float32():
        # 12.3 and not 12.300000190734863, as the database writes it.
        texts = column.cast(pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    return column.to_pylist()


def without(older: Any, pieces: Sequence[Piece]) -> Iterator[Any]:
    """Yield the row groups of an object without the fixes of the pieces."""
    for number in range(older.num_row_groups):
        group = older.read_row_group(number)
        stays = np.ones(group.num_rows, np.bool_)
        for begin, end in _Keys(older, number, None).slices(pieces):
            stays[begin:end] = False
        yield from split(group.filter(pa.array(stays)).combine_chunks())
