"""What other projects' sentences of NMEA 0183 give."""

from collections.abc import Mapping
from typing import Any

import pytest

from telemetry.formats.decode import Format
from tests.data import cases_of, needs_vectors
from tests.telemetry.payloads import decode_one, described

CASES = [case for case in cases_of("payloads_in_the_wild") if case["format"] == "nmea"]


@needs_vectors
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_sentence_of_the_wild_gives_what_others_read(case: Mapping[str, Any]) -> None:
    decoded = decode_one(case["payload"].encode(), Format.NMEA)
    expected = case["expected"]
    if "fix_time" not in expected or expected.get("checksum_ok") is False:
        assert not len(decoded.batch)
        assert len(decoded.rejections) == int("fix_time" in expected)
        return
    (fix,) = described(decoded.batch)
    assert fix["time"] == expected["fix_time"]
    for column in ("lat", "lon", "speed_mps", "course_deg"):
        assert fix[column] == pytest.approx(expected[column], abs=1e-4)


def test_a_long_drive_is_one_message() -> None:
    lines = (
        f"$GPRMC,{second // 3600:02}{second // 60 % 60:02}{second % 60:02},A,5231.2,N,01324.3,E"
        ",,,310126,,"
        for second in range(1_000)
    )
    decoded = decode_one("\r\n".join(lines).encode(), Format.NMEA)
    assert decoded.rejections == []
    assert (decoded.batch["position"] == range(1_000)).all()
    assert decoded.batch["time_us"][-1] - decoded.batch["time_us"][0] == 999_000_000
