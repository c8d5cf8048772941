"""Ids: text and UUID are one thing, in order, and derived ids never change."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.ids import IdError, derived_id, format_id, parse_id, uuid7


@given(st.uuids())
def test_what_is_written_is_read_back(value: UUID) -> None:
    text = format_id("trk", value)
    assert len(text) == 30
    assert parse_id("trk", text) == value


@given(st.uuids(), st.uuids())
def test_text_sorts_as_the_uuids(one: UUID, other: UUID) -> None:
    assert (format_id("zon", one) < format_id("zon", other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trk",
        "trk_",
        "06bqt0k1vhd8f3z7n2mwx9c5ra",
        "zon_06bqt0k1vhd8f3z7n2mwx9c5ra",
        "TRK_06bqt0k1vhd8f3z7n2mwx9c5ra",
        "trk_06BQT0K1VHD8F3Z7N2MWX9C5RA",
        "trk_06bqt0k1vhd8f3z7n2mwx9c5r",
        "trk_06bqt0k1vhd8f3z7n2mwx9c5raa",
        "trk_06bqt0k1vhd8f3z7n2mwx9c5ri",
        "trk_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "trk_06bqt0k1vhd8f3z7n2mwx9c5r\n",
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(IdError) as error:
        parse_id("trk", text)
    assert error.value.text == text


def test_a_uuid7_carries_its_time_and_sorts_by_it() -> None:
    early, late = uuid7(1_769_860_800_000, b"\xff" * 10), uuid7(1_769_860_800_001, b"\0" * 10)
    assert early.int >> 80 == 1_769_860_800_000
    assert (early.version, early.variant) == (7, "specified in RFC 4122")
    assert early < late


def test_a_uuid7_takes_ten_random_bytes() -> None:
    with pytest.raises(ValueError, match="not 9"):
        uuid7(0, b"123456789")


def test_a_derived_id_is_the_same_for_ever() -> None:
    assert derived_id(b"visit", b"abc") == UUID("a7380b44-c921-86e8-9662-e8061149faa9")


def test_a_derived_id_depends_on_its_kind_and_every_part() -> None:
    ids = {derived_id(b"visit", b"a", b"b"), derived_id(b"event", b"a", b"b")}
    ids |= {derived_id(b"visit", b"a", b"c"), derived_id(b"visit", b"b", b"b")}
    assert len(ids) == 4
    assert {value.version for value in ids} == {8}
