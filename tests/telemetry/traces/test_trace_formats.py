"""NDJSON, Parquet and GPX say the same as CSV, and their errors name line, row or point."""

import contextlib
import io
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from telemetry.fix import FixBatch
from telemetry.times import format_time
from telemetry.traces.files import TraceError, TraceFormat, read_trace

ROWS: list[dict[str, Any]] = [
    {"device_id": "b", "time": "2026-01-31T12:00:00Z", "lat": 37.78615, "lon": -122.41806},
    {
        "device_id": "a", "time": "2026-01-31T12:00:00.250Z", "lat": -1, "lon": 180, "seq": 7,
        "altitude_m": 12.5, "speed_mps": 5.2, "course_deg": 359.0, "accuracy_m": 8.0,
        "battery_pct": 50.0, "satellites": 9, "ignition": True,
    },
    {"device_id": "b", "time": "2026-01-31T12:00:01Z", "lat": 0, "lon": 0, "speed_mps": -1.0,
     "ignition": False},
]  # fmt: skip
NAMES = list(ROWS[1])
TIME = ROWS[0]["time"]


def read(data: bytes, form: TraceFormat) -> tuple[list[str], FixBatch]:
    chunks = list(read_trace(io.BytesIO(data), form, "file"))
    devices = chunks[-1].devices if chunks else []
    return devices, FixBatch.concat([chunk.batch for chunk in chunks])


def refusal(data: bytes, form: TraceFormat) -> str:
    with pytest.raises(TraceError) as error:
        read(data, form)
    return str(error.value)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    def text(value: Any) -> str:
        return "" if value is None else str(value).lower() if value is True else str(value)

    lines = [
        ",".join(text(row.get(name)).replace("False", "false") for name in NAMES) for row in rows
    ]
    return "\n".join([",".join(NAMES), *lines]).encode()


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    return msgspec.json.Encoder().encode_lines(rows)


def as_parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


def as_gpx(*tracks: str) -> bytes:
    space = 'xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="http://example.org/x"'
    return f'<?xml version="1.0"?><gpx version="1.1" {space}>{"".join(tracks)}</gpx>'.encode()


def point(inside: str = f"<time>{TIME}</time>", lat: object = 1, lon: object = 2) -> str:
    return f'<trkpt lat="{lat}" lon="{lon}">{inside}</trkpt>'


SMALL_PARQUET = as_parquet({name: [row.get(name) for row in ROWS] for name in NAMES})


def assert_same(found: tuple[list[str], FixBatch], wanted: tuple[list[str], FixBatch]) -> None:
    assert found[0] == wanted[0]
    np.testing.assert_array_equal(found[1].rows, wanted[1].rows)
    assert found[1].attributes == wanted[1].attributes


# NDJSON ---------------------------------------------------------------------------------------


def test_ndjson_says_the_same_as_csv() -> None:
    assert_same(read(as_ndjson(ROWS), TraceFormat.NDJSON), read(as_csv(ROWS), TraceFormat.CSV))


def test_a_time_in_json_may_be_milliseconds() -> None:
    rows = [ROWS[0] | {"time": time} for time in (1_769_860_800_000, 1_769_860_800_000.5, TIME)]
    _, batch = read(as_ndjson(rows), TraceFormat.NDJSON)
    times = [format_time(time) for time in batch.rows["time_us"].tolist()]
    assert times == [TIME, "2026-01-31T12:00:00.000500Z", TIME]


def test_nulls_other_keys_and_blank_lines_are_passed_over() -> None:
    line = msgspec.json.encode(ROWS[0] | {"speed_mps": None, "colour": {"deep": [1]}})
    devices, batch = read(b"\n" + line + b"\r\n\n  \n" + line + b"\n", TraceFormat.NDJSON)
    assert (devices, len(batch)) == (["b"], 2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "line 3: Input data was truncated"),
        (b"[]", "line 3: Expected `object`"),
        (b'{"device_id":"a","lat":1,"lon":2}', "line 3: Object missing required field `time`"),
        (as_ndjson([ROWS[0] | {"lat": "1"}]), "line 3: Expected `float`, got `str` - at `$.lat`"),
        (as_ndjson([ROWS[0] | {"lat": 91}]), "line 3: lat '91.0' is not a number from -90 to 90"),
        (as_ndjson([ROWS[0] | {"time": "now"}]), "line 3: time 'now' is not a time like"),
        (as_ndjson([ROWS[0] | {"time": 10**15 * 9}]), "line 3: time '9000000000000000' is not"),
        (as_ndjson([ROWS[0] | {"time": 2**63}]), "line 3"),
        (as_ndjson([ROWS[0] | {"time": True}]), "line 3"),
        (as_ndjson([ROWS[0] | {"seq": -1}]), "line 3: seq '-1' is not a number from 0"),
        (as_ndjson([ROWS[0] | {"seq": 10**30}]), "line 3"),
        (as_ndjson([ROWS[0] | {"device_id": ""}]), "line 3: a device_id has 1 to 128"),
        (b'{"a":' + b"[" * 60_000, "line 3"),
        (b'{"device_id":"\xff"}', "line 3"),
    ],
)
def test_an_error_of_ndjson_names_the_line(line: bytes, says: str) -> None:
    good = msgspec.json.encode(ROWS[0])
    assert says in refusal(good + b"\n\n" + line.strip() + b"\n" + good, TraceFormat.NDJSON)


# Parquet --------------------------------------------------------------------------------------


def columns_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: [row.get(name) for row in rows] for name in NAMES}


def test_parquet_says_the_same_as_csv() -> None:
    data = as_parquet(columns_of(ROWS) | {"colour": ["red"] * 3})
    assert_same(read(data, TraceFormat.PARQUET), read(as_csv(ROWS), TraceFormat.CSV))


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Zurich"])
@pytest.mark.parametrize(("unit", "per_s"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_timestamps_of_parquet_are_of_any_unit(unit: str, per_s: int, zone: str | None) -> None:
    times = pa.array([1_769_860_800 * per_s]).cast(pa.timestamp(unit, zone))
    data = as_parquet({"device_id": ["a"], "time": times, "lat": [1.0], "lon": [2.0]})
    _, batch = read(data, TraceFormat.PARQUET)
    assert format_time(int(batch.rows["time_us"][0])) == TIME


def test_whole_numbers_as_times_of_parquet_are_milliseconds() -> None:
    data = as_parquet({"device_id": ["a"], "time": [1_769_860_800_000], "lat": [1], "lon": [2]})
    _, batch = read(data, TraceFormat.PARQUET)
    assert format_time(int(batch.rows["time_us"][0])) == TIME


def test_devices_of_parquet_may_be_numbers_or_a_dictionary() -> None:
    given = columns_of(ROWS)
    numbered = given | {"device_id": pa.array([7, 5, 7])}
    assert read(as_parquet(numbered), TraceFormat.PARQUET)[0] == ["7", "5"]
    encoded = given | {"device_id": pa.array(["b", "a", "b"]).dictionary_encode()}
    assert read(as_parquet(encoded), TraceFormat.PARQUET)[0] == ["b", "a"]


def test_a_parquet_file_of_many_batches_is_one_trace() -> None:
    count = 150_000
    names = [f"d{i % 7}" for i in range(count)]
    lat = np.arange(count) / count
    time = pa.array(np.arange(count), pa.timestamp("s"))
    data = as_parquet({"device_id": names, "time": time, "lat": lat, "lon": lat})
    devices, batch = read(data, TraceFormat.PARQUET)
    assert [devices[i] for i in batch.rows["tracker"].tolist()] == names
    np.testing.assert_array_equal(batch.rows["lat"], lat)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"lat": [1.0, None, 2.0]}, "row 2: lat is null"),
        ({"lat": [1.0, 2.0, 91.0]}, "row 3: lat '91.0' is not a number from -90 to 90"),
        ({"lat": ["1", "x", "2"]}, "lat in this row or one after it"),
        ({"time": [TIME, TIME, "now"]}, "row 3: time 'now' is not a time"),
        ({"time": [1, 10**17, 2]}, "row 2: time '100000000000000000'"),
        ({"time": pa.array([1, 2, 10**15], pa.timestamp("ms"))}, "row 3: time '1000000000000000'"),
        ({"device_id": ["a", "a", "x" * 129]}, "row 3: a device_id has 1 to 128"),
        ({"seq": [0, -1, 0]}, "row 2: seq '-1'"),
    ],
)
def test_an_error_of_parquet_names_the_row(changed: dict[str, Any], says: str) -> None:
    assert says in refusal(as_parquet(columns_of(ROWS) | changed), TraceFormat.PARQUET)


def test_what_is_no_parquet_or_lacks_a_column_is_refused() -> None:
    assert "not Parquet" in refusal(b"device_id,time", TraceFormat.PARQUET)
    assert "not Parquet" in refusal(as_parquet(columns_of(ROWS))[:-20], TraceFormat.PARQUET)
    given = columns_of(ROWS)
    del given["lon"]
    assert "no column lon" in refusal(as_parquet(given), TraceFormat.PARQUET)


# GPX ------------------------------------------------------------------------------------------


def test_a_track_is_a_device_by_its_name_else_that_of_the_file() -> None:
    data = as_gpx(
        "<wpt lat='5' lon='5'/><rte><rtept lat='5' lon='5'/></rte>",
        f"<trk><name> a </name><trkseg>{point()}</trkseg><trkseg>{point()}</trkseg></trk>",
        f"<trk><trkseg>{point()}</trkseg></trk>",
        f"<trk><name/><trkseg>{point()}</trkseg></trk>",
    )
    devices, batch = read(data, TraceFormat.GPX)
    assert (devices, batch["tracker"].tolist()) == (["a", "file"], [0, 0, 1, 1])


def test_elevation_speed_course_and_accuracy_of_a_point_are_read() -> None:
    inside = (
        f"<ele>12.5</ele><time>{TIME}</time><extensions><x:Deep><x:speed>5.5</x:speed>"
        "<x:course>90</x:course><x:accuracy>8</x:accuracy><x:time>no</x:time></x:Deep></extensions>"
    )
    _, batch = read(
        as_gpx(f"<trk><trkseg>{point(inside, 37.5, -122)}</trkseg></trk>"), TraceFormat.GPX
    )
    names = ("lat", "lon", "altitude_m", "speed_mps", "course_deg", "accuracy_m")
    assert [batch.rows[name][0] for name in names] == [37.5, -122, 12.5, 5.5, 90, 8]
    assert format_time(int(batch.rows["time_us"][0])) == TIME


def test_a_long_track_is_one_trace() -> None:
    points = "".join(point(lat=i / 1000) for i in range(45_000))
    _, batch = read(as_gpx(f"<trk><trkseg>{points}</trkseg></trk>"), TraceFormat.GPX)
    assert (batch.rows["lat"] * 1000).round().tolist() == list(range(45_000))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (as_gpx(f"<trk><trkseg>{point()}{point('')}</trkseg></trk>"), "track point 2: time ''"),
        (as_gpx(f"<trk><trkseg>{point(lat='x')}</trkseg></trk>"), "track point 1: lat 'x'"),
        (as_gpx(f"<trk><trkseg>{point(lat='nan')}</trkseg></trk>"), "track point 1: lat 'nan'"),
        (as_gpx(f"<trk><trkseg>{point(lat=91)}</trkseg></trk>"), "track point 1: lat '91'"),
        (as_gpx(f"<trk><name>{'x' * 129}</name><trkseg>{point()}</trkseg></trk>"), "1 to 128"),
        (as_gpx("<trk>"), "line 1: not XML"),
        (b"", "line 1: not XML"),
        (b"<kml/>", "not GPX"),
        (b'<!DOCTYPE gpx [<!ENTITY a "b">]><gpx>&a;</gpx>', "document types are not read"),
    ],
)  # fmt: skip
def test_an_error_of_gpx_names_the_point(data: bytes, says: str) -> None:
    assert says in refusal(data, TraceFormat.GPX)


# All --------------------------------------------------------------------------------------------


@given(st.binary(max_size=200), st.sampled_from(list(TraceFormat)))
def test_no_bytes_break_a_reader(data: bytes, form: TraceFormat) -> None:
    with contextlib.suppress(TraceError):
        read(data, form)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_flipped_bits_break_the_reader_of_parquet(place: int, flip: int) -> None:
    data = bytearray(SMALL_PARQUET)
    data[place % len(data)] ^= flip
    with contextlib.suppress(TraceError, OSError):  # a damaged page is an OSError of Arrow
        read(bytes(data), TraceFormat.PARQUET)


def test_parquet_needs_a_source_that_can_seek() -> None:
    class Pipe:
        def read(self, size: int, /) -> bytes:
            return b""

    with pytest.raises(TypeError, match="seek"):
        read_trace(Pipe(), TraceFormat.PARQUET)
