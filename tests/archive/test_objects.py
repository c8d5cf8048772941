"""Objects of the archive: what is written is read, or it is said that it cannot be."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from archive import lookup, objects
from db.archive.archived_days import Piece
from db.fixes.gps_history import HistoryKey
from telemetry.times import to_datetime, to_us

pytestmark = pytest.mark.every_python

ORG, DAY = UUID(int=5), date(2026, 3, 1)
BEGIN_US = to_us(datetime(2026, 3, 1, tzinfo=UTC))
Key = tuple[int, int, int]  # tracker, time, seq
keys = some.sets(
    some.tuples(some.integers(0, 4), some.integers(0, 30), some.integers(-1, 1)), max_size=60
)


def fresh(rows: set[Key], lat: float = 52.5) -> Any:
    """Return fixes as the database has them. lat: of all."""
    lines = [
        f"{UUID(int=tracker)},{BEGIN_US + time},{seq},{BEGIN_US},{lat},13.4,0,,12.3,,,,9,t,"
        f'"{{""a"": {time}}}",{tracker - 2**62}\n'
        for tracker, time, seq in sorted(rows)
    ]
    return objects.read_csv("".join(lines).encode())


def written(*tables: Any) -> bytes:
    """Return an object of the tables, each merged into the one before."""
    content = b""
    for table in tables:
        older = objects.opened(pa.BufferReader(content), ORG, DAY) if content else None
        sink = io.BytesIO()
        objects.write(sink, ORG, DAY, objects.merged(older, table))
        content = sink.getvalue()
    return content


def opened(content: bytes) -> Any:
    return objects.opened(pa.BufferReader(content), ORG, DAY)


def places(row: Key) -> tuple[int, int, int]:
    return row[1], row[0], row[2]


@given(rows=keys, later=keys, group=some.integers(1, 9), data=some.data())
def test_what_is_merged_and_written_is_read(
    rows: set[Key], later: set[Key], group: int, data: some.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(objects, "GROUP_ROWS", group)
        content = written(fresh(rows).table, fresh(later, lat=1.0).table)
    found = opened(content)
    pieces = [
        Piece(UUID(int=tracker), BEGIN_US + since, BEGIN_US + until)
        for tracker in data.draw(some.sets(some.integers(0, 5)))
        for since, until in [sorted(data.draw(some.tuples(*[some.integers(-1, 32)] * 2)))]
    ]
    wanted = sorted(
        (
            row
            for row in rows | later
            if any(
                piece.tracker_id.int == row[0]
                and piece.since_us <= BEGIN_US + row[1] < piece.until_us
                for piece in pieces
            )
        ),
        key=places,
    )
    assert lookup.count(found, pieces, None, 1_000) == len(wanted)
    limit, descending = data.draw(some.integers(1, 20)), data.draw(some.booleans())
    after = data.draw(some.none() | some.sampled_from(sorted(rows | later | {(2, 2, 2)})))
    behind = [
        row
        for row in (reversed(wanted) if descending else wanted)
        if after is None
        or (places(row) < places(after) if descending else places(row) > places(after))
    ]
    key = after and HistoryKey(to_datetime(BEGIN_US + after[1]), UUID(int=after[0]), after[2])
    fixes = lookup.rows(found, pieces, None, key, limit, descending=descending)
    assert [(fix.tracker_id.int, to_us(fix.time) - BEGIN_US, fix.seq) for fix in fixes] == behind[
        :limit
    ]
    assert all(
        fix.lat == (52.5 if row in rows else 1.0) for fix, row in zip(fixes, behind, strict=False)
    )
    assert all(fix.attributes == f'{{"a": {to_us(fix.time) - BEGIN_US}}}' for fix in fixes)
    asked = [HistoryKey(to_datetime(BEGIN_US + row[1]), UUID(int=row[0]), row[2]) for row in later]
    assert lookup.count_known(found, asked) == len(later)


def test_the_prints_of_rows_are_added_up_exactly() -> None:
    rows = {(tracker, 1, 0) for tracker in range(1_000)}
    assert fresh(rows).prints == sum(tracker - 2**62 for tracker in range(1_000))


def test_no_bit_can_change_and_be_believed() -> None:
    content = written(
        fresh({(tracker, time, 0) for tracker in range(3) for time in range(40)}).table
    )
    pieces = [Piece(UUID(int=tracker), BEGIN_US, BEGIN_US + 99) for tracker in range(3)]
    right = lookup.rows(opened(content), pieces, None, None, 1_000, descending=False)
    assert len(right) == 120
    told = 0
    footer_sha256 = objects.footer_sha256(pa.BufferReader(content))
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        try:
            if objects.footer_sha256(pa.BufferReader(damaged)) != footer_sha256:
                raise objects.DamagedObject
            shown = lookup.rows(opened(damaged), pieces, None, None, 1_000, descending=False)
            assert shown == right
        except objects.DamagedObject:
            told += 1
    assert told > 100
