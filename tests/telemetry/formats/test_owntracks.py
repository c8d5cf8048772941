"""What OwnTracks' own messages give, as other projects read them."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from telemetry.formats.decode import Format
from telemetry.formats.owntracks import owntracks_command
from telemetry.times import parse_time_us
from tests.data import cases_of, needs_vectors
from tests.telemetry.payloads import decode_one, described

_FORMATS = ("owntracks", "owntracks-csv")
_COLUMNS = ("lat", "lon", "altitude_m", "accuracy_m", "battery_pct", "course_deg", "speed_mps")
CASES = [case for case in cases_of("payloads_in_the_wild") if case["format"] in _FORMATS]


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_message_of_the_wild_gives_what_others_read(case: Mapping[str, Any]) -> None:
    payload, expected = case["payload"], case["expected"]
    sent = payload if isinstance(payload, str) else json.dumps(payload)
    decoded = decode_one(sent.encode(), Format.OWNTRACKS)
    assert decoded.rejections == []
    if expected is None:
        assert len(decoded.batch) == 0
        return
    (fix,) = described(decoded.batch)
    assert parse_time_us(fix["time"]) == parse_time_us(expected["fix_time"])
    for column in _COLUMNS:
        said = expected.get(column)
        assert fix.get(column) == (None if said is None else pytest.approx(said, abs=1e-4))
    attributes = fix.get("attributes", {})
    for name in ("trip_m", "dist_m", "event"):
        assert attributes.get(name) == expected.get(name)


def test_a_transition_and_the_location_of_its_time_are_two_fixes() -> None:
    said = {"tst": 1769860800, "lat": 1.0, "lon": 2.0}
    payload = json.dumps(
        [
            said | {"_type": "location", "t": "c"},
            said | {"_type": "transition", "event": "leave", "desc": "A", "lat": 1.1},
            said | {"_type": "transition", "event": "enter", "desc": "B", "lat": 1.2},
        ]
    )
    seqs = [
        fix.get("seq", 0) for fix in described(decode_one(payload.encode(), Format.OWNTRACKS).batch)
    ]
    assert seqs[0] == 0
    assert len(set(seqs)) == 3
    assert max(seqs) < 2**15


def test_who_encrypts_is_told_where() -> None:
    (refused,) = decode_one(b'{"_type":"encrypted","data":"x"}', Format.OWNTRACKS).rejections
    assert "encryption key" in refused.detail


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reportLocation", {"_type": "cmd", "action": "reportLocation"}),
        (
            '{"action": "setWaypoints", "waypoints": {}}',
            {"_type": "cmd", "action": "setWaypoints", "waypoints": {}},
        ),
        ('{"_type": "location"}', {"_type": "cmd"}),
        ("[1]", {"_type": "cmd", "action": "[1]"}),
        ('{"action', {"_type": "cmd", "action": '{"action'}),
    ],
)
def test_a_command_is_an_action_or_its_json(text: str, message: dict[str, Any]) -> None:
    assert owntracks_command(text) == message
