"""Trace files: columns, bounds, and errors that name the line."""

import io

import numpy as np
import pytest

from telemetry.fix import FixBatch, Known
from telemetry.times import format_time
from telemetry.traces.files import MAX_LINE_BYTES, TraceError, read_trace

HEADER = "device_id,time,lat,lon,altitude_m,speed_mps,course_deg,accuracy_m\n"
LINE = "cab-1,2026-01-31T12:00:00Z,37.78615,-122.41806,,5.2,,\n"


class Dribble(io.BytesIO):
    """A source that never gives more than a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 7, 7) if size != -1 else 7)


def read(text: str | bytes, source: type[io.BytesIO] = io.BytesIO) -> tuple[list[str], FixBatch]:
    data = text.encode() if isinstance(text, str) else text
    chunks = list(read_trace(source(data)))
    devices = chunks[-1].devices if chunks else []
    return devices, FixBatch.concat([chunk.batch for chunk in chunks])


def test_a_line_becomes_a_fix() -> None:
    devices, batch = read(HEADER + LINE)
    assert devices == ["cab-1"]
    fix = batch.rows[0]
    assert (fix["tracker"], fix["lat"], fix["lon"]) == (0, 37.78615, -122.41806)
    assert format_time(int(fix["time_us"])) == "2026-01-31T12:00:00Z"
    assert (fix["known"], fix["speed_mps"]) == (Known.SPEED, np.float32(5.2))


def test_rows_keep_the_order_of_the_file_and_devices_that_of_appearance() -> None:
    lines = [
        "b,2026-01-31T12:00:02Z,1,2",
        "a,2026-01-31T12:00:01Z,1,2",
        "b,2026-01-31T12:00:00Z,1,2",
    ]
    devices, batch = read("device_id,time,lat,lon\n" + "\n".join(lines))
    assert devices == ["b", "a"]
    assert batch["tracker"].tolist() == [0, 1, 0]


@pytest.mark.parametrize("source", [io.BytesIO, Dribble])
def test_many_chunks_are_one_trace(source: type[io.BytesIO]) -> None:
    count = 200 if source is Dribble else 60_000
    text = HEADER + "".join(
        f"d{i % 100},2026-01-31T12:00:00.{i % 1000:03}Z,1.5,{i / 1000},,,,\n" for i in range(count)
    )
    devices, batch = read(text, source)
    assert len(devices) == 100
    assert batch["tracker"].tolist() == [i % 100 for i in range(count)]
    assert batch["lon"].tolist() == [i / 1000 for i in range(count)]
    assert (batch["time_us"] // 1000 % 1000).tolist() == [i % 1000 for i in range(count)]


def test_all_columns_in_any_order() -> None:
    _, batch = read(
        "lon,lat,ignition,seq,battery_pct,satellites,time,device_id\n"
        "2,1,true,7,88.5,9,2026-01-31T12:00:00Z,x\n"
        "2,1,,,,,2026-01-31T12:00:00Z,x\n"
        "2,1,0,8,,,2026-01-31T12:00:00Z,x\n"
    )
    assert batch["seq"].tolist() == [7, 0, 8]
    assert batch["ignition"].tolist() == [True, False, False]
    everything = Known.BATTERY | Known.SATELLITES | Known.IGNITION
    assert batch["known"].tolist() == [everything, 0, Known.IGNITION]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + LINE,
        (HEADER + LINE).replace("\n", "\r\n"),
        HEADER + "\n" + LINE + "\n\n",
        HEADER + LINE.rstrip("\n"),
        HEADER + LINE.replace("cab-1", '"cab-1"'),
        HEADER + LINE.replace("37.78615", " 37.78615").replace("5.2", "+5.2"),
        HEADER.replace(",", ", ") + LINE,
    ],
)
def test_what_other_programs_write_is_read(text: str) -> None:
    devices, batch = read(text)
    assert devices == ["cab-1"]
    assert batch["lat"].tolist() == [37.78615]


def test_a_device_id_may_hold_commas_and_any_letter() -> None:
    devices, _ = read(HEADER + LINE.replace("cab-1", '"Möwe, ""7"" \u2028"'))
    assert devices == ['Möwe, "7" \u2028']


def test_a_value_that_no_sensor_means_is_kept_as_an_attribute() -> None:
    _, batch = read(HEADER + LINE.replace("5.2", "-1"))
    assert (batch["known"].tolist(), batch.attributes) == ([0], {0: b'{"speed_mps":-1.0}'})


def test_the_origin_is_a_place_in_a_trace() -> None:
    _, batch = read("device_id,time,lat,lon\nx,2026-01-31T12:00:00Z,0,0\n")
    assert len(batch) == 1


def test_a_header_alone_is_an_empty_trace() -> None:
    devices, batch = read(HEADER)
    assert (devices, len(batch)) == ([], 0)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, "empty"),
        ("\n", 1, "no column device_id"),
        ("device_id,time,lat\n", 1, "no column lon"),
        ("device_id,time,lat,lon,colour\n", 1, "unknown column 'colour'"),
        ("device_id,time,lat,lon,lat\n", 1, "named twice"),
        (HEADER + LINE + "cab-1,2026-01-31T12:00:00Z,1\n", 3, "3 fields, the header names 8"),
        (HEADER + LINE + "\n" + LINE.replace("00Z", "00"), 4, "time '2026-01-31T12:00:00'"),
        (HEADER + LINE.replace("37.78615", "91"), 2, "lat '91' is not a number from -90 to 90"),
        (HEADER + LINE.replace("-122.41806", "-180.5"), 2, "lon '-180.5'"),
        (HEADER + LINE.replace("37.78615", ""), 2, "lat ''"),
        (HEADER + LINE.replace("37.78615", "nan"), 2, "lat 'nan'"),
        (HEADER + LINE.replace("37.78615", "null"), 2, "lat 'null'"),
        (HEADER + LINE.replace("37.78615", "3_7"), 2, "lat '3_7'"),
        (HEADER + LINE + LINE.replace("5.2", "fast"), 3, "speed_mps 'fast' is not a number"),
        (HEADER + LINE.replace("5.2", "inf"), 2, "speed_mps 'inf'"),
        (HEADER + LINE.replace("5.2", '"1,2"'), 2, "speed_mps '1,2'"),
        (HEADER + LINE.replace("5.2", '"1],[2"'), 2, "speed_mps '1],[2'"),
        (HEADER + LINE.replace("cab-1", ""), 2, "a device_id has 1 to 128 characters"),
        (HEADER + LINE.replace("cab-1", "x" * 129), 2, "a device_id has 1 to 128 characters"),
        (HEADER + LINE + LINE.replace("cab-1", '"cab-1'), 3, "unexpected end of data"),
        (HEADER + LINE + LINE.replace("cab-1", '"cab\n-1"'), 3, "over the end of its line"),
        (HEADER + LINE + LINE.replace("cab-1", '"cab-1"x'), 3, "expected after"),
        ("device_id,time,lat,lon,seq\nx,2026-01-31T12:00:00Z,1,2,1.5\n", 2, "seq '1.5'"),
        ("device_id,time,lat,lon,seq\nx,2026-01-31T12:00:00Z,1,2,-1\n", 2, "seq '-1'"),
        ("device_id,time,lat,lon,ignition\nx,2026-01-31T12:00:00Z,1,2,yes\n", 2, "ignition 'yes'"),
    ],
)
def test_an_error_names_line_and_problem(text: str, line: int, problem: str) -> None:
    with pytest.raises(TraceError) as error:
        read(text)
    assert error.value.line == line
    assert problem in error.value.problem


def test_bytes_that_are_not_utf_8_are_an_error_of_their_line() -> None:
    with pytest.raises(TraceError, match="line 3: not UTF-8"):
        read((HEADER + LINE).encode() + b"\xff" + LINE.encode())


def test_a_line_without_end_is_an_error_and_not_a_full_memory() -> None:
    with pytest.raises(TraceError, match=f"longer than {MAX_LINE_BYTES} bytes"):
        read(HEADER + "x" * (MAX_LINE_BYTES + 2_000_000))
