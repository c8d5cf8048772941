"""Cursors: only what was written, where it was written for, is read."""

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.cursors import CursorPosition, Cursors
from api.http.problems import Problem

CURSORS = Cursors((bytes(range(32)),))


class Key(NamedTuple):
    """A key with a value of each kind that keys have."""

    time: datetime
    id: UUID
    seq: int


POSITIONS = st.builds(
    CursorPosition[Key],
    key=st.builds(
        Key,
        time=st.datetimes(timezones=st.just(UTC)),
        id=st.uuids(),
        seq=st.integers(-(2**31), 2**63 - 1),
    ),
    offset=st.integers(0, 2**40),
    total=st.integers(0, 2**40),
    total_is_estimate=st.booleans(),
)


@given(POSITIONS, st.binary(max_size=40))
def test_what_was_written_is_read(position: CursorPosition[Key], scope: bytes) -> None:
    text = CURSORS.write(position, scope)
    assert len(text) <= 200
    assert CURSORS.read(text, scope, Key) == position


@given(POSITIONS, st.binary(max_size=40), st.binary(max_size=40))
def test_in_another_scope_it_is_refused(
    position: CursorPosition[Key], scope: bytes, other: bytes
) -> None:
    if scope != other:
        with pytest.raises(Problem):
            CURSORS.read(CURSORS.write(position, scope), other, Key)


@given(POSITIONS, st.data())
def test_a_changed_character_is_refused(position: CursorPosition[Key], data: st.DataObject) -> None:
    text = CURSORS.write(position, b"")
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from("ABCxyz019-_"))
    changed = text[:place] + character + text[place + 1 :]
    if changed != text:
        with pytest.raises(Problem):
            CURSORS.read(changed, b"", Key)


@given(st.text(max_size=100))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        CURSORS.read(text, b"", Key)


def test_another_installation_writes_other_cursors() -> None:
    position = CursorPosition(Key(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=0), 0), 0, 0, False)
    with pytest.raises(Problem):
        Cursors((bytes(32),)).read(CURSORS.write(position, b""), b"", Key)
