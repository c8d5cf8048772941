"""Packets of real trackers, as others read them, and what a fault does to them."""

from collections.abc import Mapping
from typing import Any

import pytest

from telemetry.formats.boxes.crc import crc_16
from telemetry.formats.decode import Format
from telemetry.times import parse_time_us
from tests.data import cases_of, needs_vectors
from tests.telemetry.payloads import CASES, decode_one, described

COLUMNS = ("lat", "lon", "altitude_m", "course_deg", "satellites", "speed_mps")
WILD = [case for case in cases_of("payloads_in_the_wild") if case["format"].startswith("teltonika")]
PACKETS = [case.payload for case in CASES if case.format is Format.TELTONIKA and case.fixes]


def test_the_crc_is_that_of_its_catalogue() -> None:
    """The check value of CRC-16/ARC in the catalogue of parametrised CRC algorithms."""
    assert crc_16(b"123456789") == 0xBB3D


@needs_vectors
@pytest.mark.parametrize("case", WILD, ids=lambda case: case["id"])
def test_a_packet_of_the_wild_gives_what_others_read(case: Mapping[str, Any]) -> None:
    decoded = decode_one(bytes.fromhex(case["payload"]), Format.TELTONIKA)
    assert decoded.rejections == []
    expected, fixes = case["expected"]["first_record"], described(decoded.batch)
    if not expected["satellites"]:
        assert all(fix["position"] for fix in fixes)  # the first record gives none
        return
    assert len(fixes) == case["expected"]["record_count"]
    assert parse_time_us(fixes[0]["time"]) == parse_time_us(expected["fix_time"])
    for column in COLUMNS:
        assert fixes[0].get(column) == pytest.approx(expected[column], abs=1e-4)


@pytest.mark.parametrize("packet", PACKETS)
def test_one_wrong_byte_anywhere_refuses_the_packet(packet: bytes) -> None:
    for at in range(len(packet)):
        wrong = bytes((*packet[:at], packet[at] ^ 0x10, *packet[at + 1 :]))
        decoded = decode_one(wrong, Format.TELTONIKA)
        assert len(decoded.batch) == 0
        assert [refused.position for refused in decoded.rejections] == [None]
