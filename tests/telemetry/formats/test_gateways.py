"""What other projects' messages of gateways give, and whose they are."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from telemetry.formats.decode import Format
from telemetry.formats.gateways.forwarded import device_of
from telemetry.times import parse_time_us
from tests.data import cases_of, needs_vectors
from tests.telemetry.payloads import CASES as TABLE
from tests.telemetry.payloads import decode_one, described

_KINDS = {"traccar-forward": "traccar", "chirpstack-v4": "chirpstack", "ttn-v3": "tts"}
_COLUMNS = ("lat", "lon", "altitude_m", "accuracy_m", "course_deg", "speed_mps", "satellites")
CASES = [case for case in cases_of("payloads_in_the_wild") if case["format"] in _KINDS]


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_message_of_the_wild_gives_what_others_read(case: Mapping[str, Any]) -> None:
    kind, expected = _KINDS[case["format"]], case["expected"]
    payload = json.dumps(case["payload"]).encode()
    assert device_of(kind, payload) == expected["device"]
    decoded = decode_one(payload, Format[kind.upper()])
    assert decoded.rejections == []
    (fix,) = described(decoded.batch)
    said = expected["fix_time"].partition(" ")[0]
    assert parse_time_us(fix["time"]) == parse_time_us(said)
    for column in _COLUMNS:
        value = expected.get(column)
        assert fix.get(column) == (None if value is None else pytest.approx(value, abs=1e-4))


@pytest.mark.parametrize("kind", ["traccar", "chirpstack", "tts"])
@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"7", b"{}", b'{"device": 7}', b'{"device": {"uniqueId": 7}}', b"[" * 5_000],
)
def test_a_message_that_names_no_device_is_of_none(kind: str, payload: bytes) -> None:
    assert device_of(kind, payload) is None


def test_devices_are_found_by_the_names_of_each_gateway() -> None:
    tts = {"end_device_ids": {"device_id": "d", "dev_eui": ""}}
    assert device_of("tts", json.dumps(tts).encode()) == "d"
    assert device_of("traccar", b'{"device": {"uniqueId": "8\\u0000"}, "position": [[1]]}') == "8\0"
    assert device_of("chirpstack", b'{"deviceInfo": {"devEui": "01"}}') == "01"
    for case in TABLE:
        device_of("traccar", case.payload)
