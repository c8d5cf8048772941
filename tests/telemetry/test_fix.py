"""A batch keeps rows and their attributes together."""

import numpy as np

from telemetry.fix import FIX_DTYPE, OPTIONAL_COLUMNS, FixBatch, Known, blank_rows


def numbered(n: int, attributes: dict[int, bytes] | None = None) -> FixBatch:
    rows = blank_rows(n)
    rows["seq"] = np.arange(n)
    return FixBatch(rows, attributes or {})


def test_blank_rows_know_nothing() -> None:
    rows = blank_rows(2)
    assert rows["known"].tolist() == [0, 0]
    for column in ("position", "tracker", "asset", "organization"):
        assert rows[column].tolist() == [-1, -1]


def test_every_optional_column_has_a_bit_of_its_own() -> None:
    assert set(OPTIONAL_COLUMNS) <= set(FIX_DTYPE.names or ())
    assert sorted(OPTIONAL_COLUMNS.values()) == sorted(Known)


def test_take_moves_attributes_with_their_rows() -> None:
    batch = numbered(4, {1: b'{"a":1}', 3: b'{"b":2}'})
    taken = batch.take(np.array([3, 0, 1]))
    assert taken["seq"].tolist() == [3, 0, 1]
    assert taken.attributes == {0: b'{"b":2}', 2: b'{"a":1}'}


def test_concat_renumbers_attributes() -> None:
    joined = FixBatch.concat([numbered(2, {1: b"{}"}), FixBatch.empty(), numbered(1, {0: b"[]"})])
    assert joined["seq"].tolist() == [0, 1, 0]
    assert joined.attributes == {1: b"{}", 2: b"[]"}


def test_concat_of_nothing_is_empty() -> None:
    assert len(FixBatch.concat([])) == 0
