"""Ids as small numbers, compared with the algorithm that sorts all of them as pairs of numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.fixes import id_numbers
from db.fixes.id_numbers import numbered

ROWS = 5_000
# The ends of bytes, and zeroes at the end, which a text of numpy's does not show.
IDS = st.lists(st.sampled_from((b"\0", b"\1", b"\x7f", b"\x80", b"\xff")), min_size=16, max_size=16)
KINDS = st.lists(IDS.map(b"".join), min_size=1, max_size=6)


def plainly(ids: Any) -> tuple[list[bytes], list[int]]:
    """Return the same, by sorting pairs of numbers."""
    halves = np.ascontiguousarray(ids).view(">u8").reshape(-1, 2)
    different, numbers = np.unique(halves, axis=0, return_inverse=True)
    return [each.tobytes() for each in different], numbers.ravel().tolist()


def as_ids(texts: list[bytes]) -> Any:
    """Return a column of a table, whose values do not lie side by side."""
    rows = np.zeros(len(texts), [("id", "V16"), ("more", "u1")])
    rows["id"] = np.frombuffer(b"".join(texts), "V16")
    return rows["id"]


@given(st.data(), KINDS)
def test_numbers_are_those_of_sorting_all(data: st.DataObject, kinds: list[bytes]) -> None:
    ids = as_ids(data.draw(st.lists(st.sampled_from(kinds), max_size=30)))
    different, numbers = numbered(ids)
    assert ([each.tobytes() for each in different], numbers.tolist()) == plainly(ids)


@pytest.mark.parametrize("machines", [1, 50, ROWS])
def test_numbers_of_many_rows_by_machine_are_the_same(machines: int) -> None:
    chances = np.random.default_rng(machines)
    texts = sorted(chances.bytes(16) for _ in range(machines))
    ids = as_ids([texts[row * machines // ROWS] for row in range(ROWS)])
    different, numbers = numbered(ids)
    assert ([each.tobytes() for each in different], numbers.tolist()) == plainly(ids)


@pytest.mark.parametrize("machines", [1, 50])
def test_of_rows_by_machine_an_id_of_each_is_sorted(
    machines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sorts = list[tuple[int, ...]]()
    unique = np.unique

    def noted(values: Any, **options: Any) -> Any:
        sorts.append(values.shape)
        return unique(values, **options)

    monkeypatch.setattr(id_numbers.np, "unique", noted)
    texts = [bytes([machine]) * 16 for machine in range(machines)]
    numbered(as_ids([texts[row * machines // ROWS] for row in range(ROWS)]))
    assert sorts == [(machines,)]
