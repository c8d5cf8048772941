"""`opsc decode`: the fields of a payload, or why it has none."""

import json
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from stack.cli.main import build
from stack.cli.offline.decode import FormatName
from telemetry.formats.decode import Format
from telemetry.formats.encode import encode_packed
from telemetry.formats.native import decode_native

LOCATION = (
    '{"_type": "location", "tst": 1769860800, "lat": 52.52, "lon": 13.405, "vel": 54, "t": "u"}'
)
SHOWN = """fix
  time         2026-01-31T12:00:00Z
  lat          52.52
  lon          13.405
  seq          0
  speed_mps    15.0
  attributes   {"t":"u"}
"""


def called(payload_format: str, payload: str | bytes, code: int = 0) -> str:
    result = CliRunner().invoke(build("decode"), ["decode", payload_format, "-"], input=payload)
    assert result.exit_code == code, result.output
    return result.output


def test_a_message_of_a_phone_is_shown_in_our_units() -> None:
    assert called("owntracks", LOCATION) == SHOWN


def test_packed_bytes_are_shown_from_a_file(tmp_path) -> None:
    batch = decode_native([b'{"time": "2026-01-31T12:00:00Z", "lat": 1, "lon": 2, "seq": 7}']).batch
    path = tmp_path / "payload"
    path.write_bytes(encode_packed(batch))
    result = CliRunner().invoke(build("decode"), ["decode", "packed", str(path)])
    assert "  seq          7\n" in result.output


def test_a_punch_is_shown() -> None:
    punch = {
        "employee_id": "emp_06bqt0k1vhd8f3z7n2mwx9c5ra",
        "kind": "in",
        "time": "2026-03-02T06:58:00Z",
    }
    shown = called("punches", json.dumps(punch))
    assert shown.startswith("punch\n")
    assert punch["employee_id"] in shown
    assert "  time         2026-03-02T06:58:00Z\n" in shown


@pytest.mark.parametrize(
    ("payload", "code", "said"),
    [
        ('{"_type": "lwt", "tst": 1}', 0, "neither a fix nor a fault"),
        ('{"_type": "encrypted", "data": ""}', 1, "refused: the message: undecodable: encrypted"),
        (f'[{LOCATION}, {{"_type": "location", "tst": 1}}]', 1, "number 1: no_position: lat"),
    ],
)
def test_what_is_no_fix_is_said(payload: str, code: int, said: str) -> None:
    assert said in called("owntracks", payload, code)


def test_every_format_has_a_name() -> None:
    assert list(get_args(FormatName)) == [form.name.lower() for form in Format]


def test_an_unknown_format_is_a_wrong_usage() -> None:
    assert "owntracks" in called("morse", "", code=2)


def test_json_of_a_gateway_is_read_by_its_mapping(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"device": "/id", "lat": "/lat", "lon": "/lon", "time": "/at"}')
    payload = '{"id": 7, "lat": 1, "lon": 2, "at": "2026-01-31T12:00:00Z"}'

    def decoded(code: int) -> str:
        arguments = ["decode", "generic", "-", "--mapping", str(mapping)]
        result = CliRunner().invoke(build("decode"), arguments, input=payload)
        assert result.exit_code == code, result.output
        return result.output

    assert "time         2026-01-31T12:00:00Z\n  lat          1.0" in decoded(0)
    mapping.write_text('{"device": "/id", "lat": "/lat"}')
    assert "missing required field `lon`" in " ".join(decoded(2).split())
