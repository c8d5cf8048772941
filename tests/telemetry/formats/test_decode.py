"""Decoders: what each payload gives, alone, cut short, mutated, and among others."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from telemetry.attributes import MAX_BYTES, MAX_DEPTH
from telemetry.fix import FixBatch
from telemetry.formats.decode import Format, Reason, check_clock, decode
from telemetry.formats.encode import encode_json, encode_msgpack, encode_packed
from telemetry.times import parse_time_us
from tests.telemetry.payloads import CASES, Case, decode_one, described, described_punches

GOOD = CASES[0]
Encoder = Callable[[FixBatch], bytes]
PLAIN = b'{"time":1769860800000,"lat":1,"lon":2%s}'


def with_ids(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=case.name.replace(" ", "-")) for case in cases]


@pytest.mark.parametrize("case", with_ids(CASES))
def test_a_payload_gives_its_fixes_and_rejections(case: Case) -> None:
    decoded = decode_one(case.payload, case.format)
    assert described(decoded.batch) == case.fixes
    assert described_punches(decoded.punches) == case.punches
    assert [(r.position, r.reason) for r in decoded.rejections] == case.rejected
    assert all(r.detail and len(r.detail) < 300 for r in decoded.rejections)


@pytest.mark.parametrize("case", with_ids(CASES))
def test_a_payload_does_not_spoil_the_next(case: Case) -> None:
    decoded = decode([case.payload, GOOD.payload], [case.format, Format.NATIVE])
    after = decoded.batch.take(np.flatnonzero(decoded.batch["message"] == 1))
    assert described(after) == GOOD.fixes
    assert all(r.message == 0 for r in decoded.rejections)


@pytest.mark.parametrize("case", with_ids(CASES))
def test_every_truncation_ends_as_fixes_or_as_a_rejection(case: Case) -> None:
    cuts = [case.payload[:length] for length in range(len(case.payload))]
    decoded = decode(cuts, [case.format] * len(cuts))
    answered = set(decoded.batch["message"].tolist())
    answered |= {one.message for one in (*decoded.rejections, *decoded.punches)}
    # A part of a query is a query, and a line of NMEA needs no checksum.
    has_end = case.format not in (Format.OSMAND, Format.NMEA)
    assert not has_end or answered == set(range(len(cuts)))


@pytest.mark.parametrize("encode", [encode_json, encode_msgpack])
@pytest.mark.parametrize("case", with_ids([case for case in CASES if case.fixes]))
def test_encoders_write_what_decode_reads(case: Case, encode: Encoder) -> None:
    batch = decode_one(case.payload, case.format).batch
    again = decode_one(encode(batch))
    assert again.rejections == []
    assert without_positions(again.batch) == without_positions(batch)


@pytest.mark.parametrize("case", with_ids([case for case in CASES if case.format is Format.PACKED]))
def test_the_packed_encoder_writes_what_decode_reads(case: Case) -> None:
    batch = decode_one(case.payload, case.format).batch
    if len(batch) and not batch.attributes:  # of which packed has none
        again = decode_one(encode_packed(batch), Format.PACKED)
        assert again.rejections == []
        assert without_positions(again.batch) == without_positions(batch)


def without_positions(batch: FixBatch) -> list[dict[str, Any]]:
    return [{**fix, "position": None} for fix in described(batch)]


class TestBounds:
    def test_a_message_of_1000_fixes_is_read_and_one_more_is_oversize(self) -> None:
        fix = PLAIN % b""
        full = decode_one(b"[" + b",".join([fix] * 1000) + b"]")
        assert len(full.batch) == 1000
        over = decode_one(b"[" + b",".join([fix] * 1001) + b"]")
        assert [(r.reason, r.position) for r in over.rejections] == [(Reason.OVERSIZE, None)]

    def test_a_message_of_512_kib_is_read_and_one_byte_more_is_oversize(self) -> None:
        full = (PLAIN % b"").ljust(512 * 1024)
        assert len(decode_one(full).batch) == 1
        assert decode_one(full + b" ").rejections[0].reason is Reason.OVERSIZE

    @pytest.mark.parametrize("records", [1001, 17_000])
    def test_too_many_packed_records_are_oversize(self, records: int) -> None:
        decoded = decode_one(bytes(32 * records), Format.PACKED)
        assert [(r.reason, r.position) for r in decoded.rejections] == [(Reason.OVERSIZE, None)]

    @pytest.mark.parametrize("opening", [b"[", b'{"a":', b"\x91", b"\x81\xa1a"])
    def test_nesting_without_end_is_undecodable(self, opening: bytes) -> None:
        decoded = decode_one(opening * (500_000 // len(opening)))
        assert [r.reason for r in decoded.rejections] == [Reason.UNDECODABLE]

    def test_attributes_up_to_the_limit_are_kept_and_beyond_it_refuse_the_fix(self) -> None:
        room = MAX_BYTES - len(b'{"x":""}')
        kept = decode_one(PLAIN % (b',"x":"' + b"y" * room + b'"'))
        assert len(kept.batch.attributes[0]) == MAX_BYTES
        over = decode_one(PLAIN % (b',"x":"' + b"y" * (room + 1) + b'"'))
        assert [r.reason for r in over.rejections] == [Reason.OVERSIZE]

    @pytest.mark.parametrize("key", [b"attributes", b"unknown"])
    def test_attributes_nest_16_levels_and_no_more(self, key: bytes) -> None:
        levels = MAX_DEPTH - (1 if key == b"unknown" else 0)

        def nested(depth: int) -> bytes:
            inner = b'{"a":' * depth + b"1" + b"}" * depth
            return PLAIN % (b',"' + key + b'":' + inner)

        assert len(decode_one(nested(levels)).batch) == 1
        assert [r.reason for r in decode_one(nested(levels + 1)).rejections] == [Reason.OVERSIZE]

    def test_many_shallow_members_are_not_deep(self) -> None:
        decoded = decode_one(PLAIN % (b',"rows":[' + b",".join([b"[[]]"] * 100) + b"]"))
        assert len(decoded.batch) == 1


def test_nothing_gives_nothing() -> None:
    decoded = decode([], [])
    assert (len(decoded.batch), decoded.rejections) == (0, [])


def test_formats_must_match_payloads() -> None:
    with pytest.raises(ValueError, match="1 payloads, 2 formats"):
        decode([b""], [Format.NATIVE, Format.PACKED])


def test_formats_may_be_an_array() -> None:
    packed = next(case for case in CASES if case.format is Format.PACKED)
    decoded = decode([packed.payload, GOOD.payload], np.array([1, 0], np.uint8))
    assert decoded.batch["message"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("time", "detail"),
    [
        (
            '"2026-01-31T12:00:00"',
            "'2026-01-31T12:00:00' is not a time like 2026-01-31T12:00:00Z: its",
        ),
        ("1769860800000000", "1769860800000000 is not a time in milliseconds since 1970"),
    ],
)
def test_what_is_no_time_is_told_what_is_one(time: str, detail: str) -> None:
    payload = f'{{"time": {time}, "lat": 1, "lon": 2}}'.encode()
    (rejection,) = decode_one(payload).rejections
    assert rejection.reason is Reason.UNDECODABLE
    assert rejection.detail.startswith(detail)


class TestClock:
    RECEIVED_US = parse_time_us("2026-01-31T12:00:00Z")

    def batch(self, *times: str) -> FixBatch:
        fixes = [{"time": time, "lat": 1, "lon": 2} for time in times]
        return decode_one(msgspec.json.encode(fixes)).batch

    def test_five_minutes_ahead_is_kept_and_a_microsecond_more_is_future(self) -> None:
        batch = self.batch("2026-01-31T12:05:00Z", "2026-01-31T12:05:00.000001Z")
        kept, rejections = check_clock(batch, self.RECEIVED_US)
        assert kept.tolist() == [0]
        assert [(r.position, r.reason) for r in rejections] == [(1, Reason.FUTURE)]
        assert rejections[0].detail == "2026-01-31T12:05:00.000001Z"

    def test_the_year_2000_is_kept_and_what_lies_before_is_ancient(self) -> None:
        batch = self.batch("1999-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z")
        kept, rejections = check_clock(batch, self.RECEIVED_US)
        assert kept.tolist() == [1]
        assert [(r.position, r.reason) for r in rejections] == [(0, Reason.ANCIENT)]

    def test_seconds_in_the_place_of_milliseconds_are_told_so(self) -> None:
        fixes = [{"time": time, "lat": 1, "lon": 2} for time in (1_769_860_800, 315_964_800_000)]
        batch = decode_one(msgspec.json.encode(fixes)).batch
        _, rejections = check_clock(batch, self.RECEIVED_US)
        assert [(r.reason, r.detail) for r in rejections] == [
            (
                Reason.ANCIENT,
                "1970-01-21T11:37:40.800Z; 2026-01-31T12:00:00Z if these were seconds:"
                " send milliseconds since 1970",
            ),
            (Reason.ANCIENT, "1980-01-06T00:00:00Z"),
        ]

    def test_a_punch_in_seconds_is_told_so(self) -> None:
        employee_id = "emp_06bqt0k1vhd8f3z7n2mwx9c5ra"
        punch = {"employee_id": employee_id, "kind": "in", "time": 1_769_860_800}
        (rejection,) = decode([msgspec.json.encode(punch)], [Format.PUNCHES]).rejections
        assert rejection.reason is Reason.ANCIENT
        assert "2026-01-31T12:00:00Z if these were seconds" in rejection.detail

    def test_each_message_has_its_own_receipt(self) -> None:
        payload = b'{"time":"2026-01-31T12:00:00Z","lat":1,"lon":2}'
        batch = decode([payload, payload], [Format.NATIVE] * 2).batch
        minute_us = 60_000_000
        received_us = np.array([self.RECEIVED_US, self.RECEIVED_US - 6 * minute_us])
        kept, rejections = check_clock(batch, received_us)
        assert kept.tolist() == [0]
        assert [(r.message, r.position, r.reason) for r in rejections] == [(1, None, Reason.FUTURE)]
