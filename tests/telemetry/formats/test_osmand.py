"""What other projects' positions of OsmAnd and Traccar Client give."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from telemetry.formats.decode import Format
from telemetry.times import parse_time_us
from tests.data import cases_of, needs_vectors
from tests.telemetry.payloads import decode_one, described

_FORMATS = ("osmand-query", "traccar-client-json (transistorsoft background-geolocation)")
_COLUMNS = ("lat", "lon", "altitude_m", "accuracy_m", "battery_pct", "course_deg", "speed_mps")
_WITHOUT_TIME = "&timestamp=1769860800"  # as the listener adds it
CASES = [case for case in cases_of("payloads_in_the_wild") if case["format"] in _FORMATS]


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_message_of_the_wild_gives_what_others_read(case: Mapping[str, Any]) -> None:
    payload, expected = case["payload"], case["expected"]
    sent = payload if isinstance(payload, str) else json.dumps(payload)
    if "fix_time" not in expected:
        sent += _WITHOUT_TIME
    decoded = decode_one(sent.encode(), Format.OSMAND)
    assert decoded.rejections == []
    if expected["lat"] is None:
        assert len(decoded.batch) == 0
        return
    (fix,) = described(decoded.batch)
    if said := expected.get("fix_time"):
        text = said.partition(" ")[0]
        assert parse_time_us(fix["time"]) == parse_time_us(
            text if text.endswith("Z") else f"{text}Z"
        )
    for column in _COLUMNS:
        if column in expected:
            value = expected[column]
            assert fix.get(column) == (None if value is None else pytest.approx(value, abs=1e-4))
