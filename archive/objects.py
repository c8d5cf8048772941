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
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import zip_longest
from typing import IO, Any, NamedTuple
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
from pyarrow import csv, parquet

from db.archive.moving import TrackerSummary
from telemetry.times import to_datetime

GROUP_ROWS = 20_000
TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        pa.field("tracker_id", pa.string(), nullable=False),
        pa.field("time", TIME, nullable=False),
        pa.field("seq", pa.int32(), nullable=False),
        pa.field("received_at", TIME, nullable=False),
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
KEY = ["tracker_id", "time", "seq"]
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
    schema = pa.schema([*SCHEMA, pa.field("print", pa.int64())])
    instants = {name: pa.int64() for name in ("time", "received_at")}
    types = {field.name: instants.get(field.name, field.type) for field in schema}
    if not text:
        return Fresh(SCHEMA.empty_table(), 0)
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
    return Fresh(table.drop_columns("print").cast(SCHEMA).combine_chunks(), total)


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
        yield from split(_in_order(group, fresh.slice(begin, max(0, end - begin))))
        begin = max(begin, end)
    if groups == 0:
        yield from split(fresh)


def write(sink: IO[bytes], org_id: UUID, day: date, groups: Iterator[Any]) -> list[TrackerSummary]:
    """Write an object, and return what it has of each tracker."""
    about = {"opsc.org_id": str(org_id), "opsc.day": day.isoformat()}
    trackers: dict[str, TrackerSummary] = {}
    with parquet.ParquetWriter(
        sink,
        SCHEMA.with_metadata(about),
        compression="zstd",
        use_dictionary=[name for name in SCHEMA.names if name not in _ENCODINGS],
        column_encoding=_ENCODINGS,
        write_statistics=[*KEY, "lat", "lon"],
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
    with telling_damage():
        size = file.size()
        length = int.from_bytes(file.read_at(8, size - 8)[:4], "little") + 8
        if length > size:
            raise DamagedObject("it has no footer")
        return hashlib.sha256(file.read_at(length, size - length)).digest()


def opened(file: Any, org_id: UUID, day: date) -> Any:
    """Open an object for reading. Raises DamagedObject."""
    with telling_damage():
        found = parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=True)
    about = found.schema_arrow.metadata or {}
    said = (about.get(b"opsc.org_id"), about.get(b"opsc.day"))
    if said != (str(org_id).encode(), day.isoformat().encode()):
        raise DamagedObject("it is of another organization or day")
    if not found.schema_arrow.equals(SCHEMA):
        raise DamagedObject("it has other columns")
    return found


def is_equal(found: Any, groups: Iterator[Any]) -> bool:
    """Return whether an object has these row groups, to the bit."""
    stored = (found.read_row_group(number) for number in range(found.num_row_groups))
    return all(
        ours is not None and theirs is not None and _bits(ours).equals(_bits(theirs))
        for ours, theirs in zip_longest(groups, stored)
    )


def _in_order(first: Any, second: Any) -> Any:
    """Return the rows of both by key; of two with the same key that of the first."""
    if second.num_rows == 0:
        return first
    both = pa.concat_tables([first, second])
    # A stable sort: of equal keys the first one stays in front.
    both = both.take(compute.sort_indices(both, [(name, "ascending") for name in KEY]))
    is_new = np.ones(both.num_rows, np.bool_)
    same = [
        compute.equal(both[name].slice(1), both[name].slice(0, both.num_rows - 1)).to_numpy()
        for name in KEY
    ]
    is_new[1:] = ~np.logical_and.reduce(same)
    return both.filter(pa.array(is_new)).combine_chunks()


def split(table: Any) -> Iterator[Any]:
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
def telling_damage() -> Iterator[None]:
    """Turn what Arrow raises about a file, or about the store that it reads, into DamagedObject."""
    try:
        yield
    except (OSError, ValueError) as error:  # Arrow's own are ValueErrors
        raise DamagedObject(str(error)) from error
