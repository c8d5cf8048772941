"""An object of the archive: the fixes of an organization's day as Parquet.

Rows are in order of tracker, time and seq, and no two have all three in common. The row groups are
small, so that a page reads few of them. Every page of the file has a checksum. The metadata names
the organization and the day: an object at another's place is refused.

`merged` puts fixes between those of an older object. The one that was there first stays where both
have the same identity, as in the database.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (pyarrow has no type information of its own)

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import zip_longest
from typing import IO, Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from numpy.typing import NDArray
from pyarrow import csv, parquet

from db.archive.archived_days import Piece
from db.archive.moving import TrackerSummary
from db.fixes.areas import Area
from db.fixes.gps_history import HistoryFix, HistoryKey
from telemetry.times import to_datetime, to_us

GROUP_ROWS = 20_000
_TIME = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [
        pa.field("tracker_id", pa.string(), nullable=False),
        pa.field("time", _TIME, nullable=False),
        pa.field("seq", pa.int32(), nullable=False),
        pa.field("received_at", _TIME, nullable=False),
        pa.field("lat", pa.float64(), nullable=False),
        pa.field("lon", pa.float64(), nullable=False),
        pa.field("flags", pa.int16(), nullable=False),
        pa.field("altitude_m", pa.float32()),
        pa.field("speed_mps", pa.float32()),
        pa.field("course_deg", pa.float32()),
        pa.field("accuracy_m", pa.float32()),
        pa.field("battery_pct", pa.float32()),
        pa.field("satellites", pa.int16()),
        pa.field("ignition", pa.bool_()),
        pa.field("attributes", pa.string()),
    ]
)
_KEY = ["tracker_id", "time", "seq"]
# Neighbours differ little in time; of places, the first bytes hardly change.
_ENCODINGS = {
    "time": "DELTA_BINARY_PACKED",
    "received_at": "DELTA_BINARY_PACKED",
    "seq": "DELTA_BINARY_PACKED",
    "lat": "BYTE_STREAM_SPLIT",
    "lon": "BYTE_STREAM_SPLIT",
}


class DamagedObject(Exception):
    """The object is not what it should be, or cannot be read."""


class Fresh(NamedTuple):
    """Fixes out of the database, sorted. prints: the sum of the fingerprints of their rows."""

    table: Any
    prints: int


def read_csv(text: bytes | bytearray) -> Fresh:
    """Read what `db.archive.moving.read` returns."""
    schema = pa.schema([*_SCHEMA, pa.field("print", pa.int64())])
    instants = {name: pa.int64() for name in ("time", "received_at")}
    types = {field.name: instants.get(field.name, field.type) for field in schema}
    if not text:
        return Fresh(_SCHEMA.empty_table(), 0)
    table = csv.read_csv(
        pa.BufferReader(pa.py_buffer(text)),
        csv.ReadOptions(column_names=schema.names, use_threads=False),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    prints = table["print"].to_numpy()
    total = (int((prints >> 32).sum()) << 32) + int((prints & 0xFFFFFFFF).sum())
    return Fresh(table.drop_columns("print").cast(_SCHEMA).combine_chunks(), total)


def last_key(fresh: Any) -> tuple[UUID, datetime, int]:
    """Return tracker, time and seq of the last row."""
    tracker, time_us, seq = _last_key(fresh)
    return UUID(tracker), to_datetime(time_us), seq


def merged(older: Any | None, fresh: Any) -> Iterator[Any]:
    """Yield the row groups of an object with the fixes of both, in order.

    older: an open object, None where the day has none.
    """
    begin = 0
    groups = 0 if older is None else older.num_row_groups
    for number in range(groups):
        group = older.read_row_group(number)  # pyright: ignore[reportOptionalMemberAccess]
        end = fresh.num_rows if number == groups - 1 else _rows_up_to(fresh, _last_key(group))
        yield from _split(_in_order(group, fresh.slice(begin, max(0, end - begin))))
        begin = max(begin, end)
    if groups == 0:
        yield from _split(fresh)


def without(older: Any, pieces: Sequence[Piece]) -> Iterator[Any]:
    """Yield the row groups of an object without the fixes of the pieces."""
    for number in range(older.num_row_groups):
        group = older.read_row_group(number)
        stays = np.ones(group.num_rows, np.bool_)
        for begin, end in _Keys(older, number, None).slices(pieces):
            stays[begin:end] = False
        yield from _split(group.filter(pa.array(stays)).combine_chunks())


def write(sink: IO[bytes], org_id: UUID, day: date, groups: Iterator[Any]) -> list[TrackerSummary]:
    """Write an object, and return what it has of each tracker."""
    about = {"opsc.org_id": str(org_id), "opsc.day": day.isoformat()}
    trackers: dict[str, TrackerSummary] = {}
    with parquet.ParquetWriter(
        sink,
        _SCHEMA.with_metadata(about),
        compression="zstd",
        use_dictionary=[name for name in _SCHEMA.names if name not in _ENCODINGS],
        column_encoding=_ENCODINGS,
        write_statistics=[*_KEY, "lat", "lon"],
        write_page_checksum=True,
    ) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=len(group))
            for row in _summaries(group):
                key = str(row.tracker_id)
                trackers[key] = row if key not in trackers else trackers[key].joined(row)
    return list(trackers.values())


def footer_sha256(file: Any) -> bytes:
    """Hash the footer, which says where everything is and has no checksum of its own. Raises
    DamagedObject.
    """
    with _telling_damage():
        size = file.size()
        length = int.from_bytes(file.read_at(8, size - 8)[:4], "little") + 8
        if length > size:
            raise DamagedObject("it has no footer")
        return hashlib.sha256(file.read_at(length, size - length)).digest()


def opened(file: Any, org_id: UUID, day: date) -> Any:
    """Open an object for reading. Raises DamagedObject."""
    with _telling_damage():
        found = parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=True)
    about = found.schema_arrow.metadata or {}
    said = (about.get(b"opsc.org_id"), about.get(b"opsc.day"))
    if said != (str(org_id).encode(), day.isoformat().encode()):
        raise DamagedObject("it is of another organization or day")
    if not found.schema_arrow.equals(_SCHEMA):
        raise DamagedObject("it has other columns")
    return found


def is_equal(found: Any, groups: Iterator[Any]) -> bool:
    """Return whether an object has these row groups, to the bit."""
    stored = (found.read_row_group(number) for number in range(found.num_row_groups))
    return all(
        ours is not None and theirs is not None and _bits(ours).equals(_bits(theirs))
        for ours, theirs in zip_longest(groups, stored)
    )


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
    with _telling_damage():
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
    with _telling_damage():
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
    with _telling_damage():
        known: set[tuple[UUID, int, int]] = set()
        for number, _ in _groups_of(found, pieces):
            known.update(_Keys(found, number, None).identities(pieces))
    return len(wanted & known)


class _Keys:
    """The keys of a row group: rows of a tracker stand together, in order of time and seq. area: in
    which rows are wanted.
    """

    def __init__(self, found: Any, number: int, area: Area | None) -> None:
        columns = _KEY if area is None else [*_KEY, "lat", "lon"]
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

    def identities(self, pieces: Sequence[Piece]) -> Iterator[tuple[UUID, int, int]]:
        for begin, end in self.slices(pieces):
            for row in range(begin, end):
                tracker_id, seq = self._key(row)
                yield tracker_id, int(self.time_us[row]), seq

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
    return found.metadata.row_group(number).column(_SCHEMA.names.index(column)).statistics


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
    if column.type == _TIME:
        return column.cast(pa.int64()).to_pylist()
    if column.type == pa.float32():
        # 12.3 and not 12.300000190734863, as the database writes it.
        texts = column.cast(pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    return column.to_pylist()


def _in_order(first: Any, second: Any) -> Any:
    """Return the rows of both by key; of two with the same key that of the first."""
    if second.num_rows == 0:
        return first
    both = pa.concat_tables([first, second])
    # A stable sort: of equal keys the first one stays in front.
    both = both.take(compute.sort_indices(both, [(name, "ascending") for name in _KEY]))
    is_new = np.ones(both.num_rows, np.bool_)
    same = [
        compute.equal(both[name].slice(1), both[name].slice(0, both.num_rows - 1)).to_numpy()
        for name in _KEY
    ]
    is_new[1:] = ~np.logical_and.reduce(same)
    return both.filter(pa.array(is_new)).combine_chunks()


def _split(table: Any) -> Iterator[Any]:
    parts = max(1, -(-table.num_rows // GROUP_ROWS)) if table.num_rows else 0
    for part in range(parts):
        begin, end = (table.num_rows * edge // parts for edge in (part, part + 1))
        yield table.slice(begin, end - begin)


def _last_key(group: Any) -> tuple[str, int, int]:
    last = group.slice(group.num_rows - 1)
    tracker, time_us, seq = (last["tracker_id"], last["time"].cast(pa.int64()), last["seq"])
    return tracker[0].as_py(), time_us[0].as_py(), seq[0].as_py()


def _rows_up_to(table: Any, key: tuple[str, int, int]) -> int:
    """Return how many rows of a sorted table have no larger key."""
    tracker, time, seq = table["tracker_id"], table["time"].cast(pa.int64()), table["seq"]

    def is_before(row: int) -> bool:
        return (tracker[row].as_py(), time[row].as_py(), seq[row].as_py()) <= key

    low, high = 0, table.num_rows
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if is_before(middle) else (low, middle)
    return low


def _summaries(group: Any) -> Iterator[TrackerSummary]:
    edges = [(name, side) for name in ("time", "lat", "lon") for side in ("min", "max")]
    summed = group.group_by("tracker_id").aggregate([("seq", "count"), *edges])
    for row in summed.to_pylist():
        yield TrackerSummary(
            UUID(row["tracker_id"]),
            row["seq_count"],
            row["time_min"],
            row["time_max"],
            row["lat_min"],
            row["lat_max"],
            row["lon_min"],
            row["lon_max"],
        )


def _bits(table: Any) -> Any:
    """Return the table with numbers that are equal only where their bits are."""
    whole = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}
    return pa.table(
        {
            name: column.combine_chunks().view(whole[column.type])
            if column.type in whole
            else column.combine_chunks()
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )


@contextmanager
def _telling_damage() -> Iterator[None]:
    """Turn what Arrow raises about a file, or about the store that it reads, into DamagedObject."""
    try:
        yield
    except (OSError, ValueError) as error:  # Arrow's own are ValueErrors
        raise DamagedObject(str(error)) from error
