"""`opsc replay` as a user calls it: real files, real process output."""

import csv
import dataclasses
import gzip
import inspect
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from geofence.model.rules import Rules
from stack.cli.main import build
from stack.cli.offline.replay import replay
from stack.errors import StackError

ZONES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "west",
            "properties": {},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]],
            },
        },
        {
            "type": "Feature",
            "id": "east, with a comma",
            "properties": {"radius_m": 111_000},
            "geometry": {"type": "Point", "coordinates": [3, 1]},
        },
    ],
}
# Device b stands before a, goes from west to east, and two of its lines are out of order.
TRACE = """device_id,time,lat,lon
b,2026-01-01T00:00:20Z,1,3
b,2026-01-01T00:00:00.250Z,1,1
a,2026-01-01T00:00:00Z,0,0
a,2026-01-01T00:00:05Z,1,1
b,2026-01-01T00:00:20Z,9,9
b,2026-01-01T00:00:30Z,9,9
"""
RAW = """device_id,time,zone_id,transition
a,2026-01-01T00:00:00Z,west,enter
b,2026-01-01T00:00:00.250Z,west,enter
b,2026-01-01T00:00:20Z,west,exit
b,2026-01-01T00:00:20Z,"east, with a comma",enter
b,2026-01-01T00:00:30Z,"east, with a comma",exit
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    zones, trace = tmp_path / "zones.geojson", tmp_path / "trace.csv.gz"
    zones.write_text(json.dumps(ZONES))
    trace.write_bytes(gzip.compress(TRACE.encode()))
    return {"--zones": zones, "--fixes": trace}


def run(files: dict[str, Path], *options: str):
    arguments = [str(part) for pair in files.items() for part in pair]
    return CliRunner().invoke(build("replay"), ["replay", *arguments, *options])


def test_transitions_come_by_device_time_exits_first_and_zone(files):
    result = run(files, "--raw")
    assert (result.exit_code, result.stdout) == (0, RAW)


def test_a_summary_stands_on_stderr(files):
    summary = json.loads(run(files, "--raw", "--json").stderr)
    assert summary["fixes"] == 6
    assert (summary["judged"], summary["repeated"]) == (5, 1)
    assert (summary["enter"], summary["exit"]) == (3, 2)
    assert summary["refused"] == {}
    assert "6 fixes of 2 devices, 2 zones: 3 enter, 2 exit" in run(files, "--raw").stderr


def test_without_raw_what_ingest_would_refuse_is_left_out(files):
    files["--fixes"].write_bytes(
        gzip.compress((TRACE + "c,1980-01-06T00:00:00Z,1,1\nc,2999-01-01T00:00:00Z,1,1\n").encode())
    )
    result = run(files, "--json")
    assert "a,2026-01-01T00:00:05Z,west,enter" in result.stdout
    assert "\nc," not in result.stdout
    refused = {"ancient": 1, "future": 1, "bad_coordinate": 1}
    assert json.loads(result.stderr)["refused"] == refused


def test_unsorted_transitions_are_the_same_ones(files):
    lines = run(files, "--raw", "--unsorted").stdout.splitlines()
    assert lines[0] == RAW.splitlines()[0]
    assert sorted(lines[1:]) == sorted(RAW.splitlines()[1:])


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.ndjson", "out.ndjson.gz"])
def test_a_file_is_written_in_the_format_of_its_name(files, tmp_path, name):
    out = tmp_path / name
    assert run(files, "--raw", "--out", str(out)).stdout == ""
    content = gzip.decompress(out.read_bytes()) if name.endswith(".gz") else out.read_bytes()
    if ".csv" in name:
        assert content.decode() == RAW
    else:
        first = json.loads(content.splitlines()[0])
        assert list(first.values()) == ["a", "2026-01-01T00:00:00Z", "west", "enter"]
    assert not list(tmp_path.glob("*.part"))


def test_a_parquet_file_has_times_as_times(files, tmp_path):
    out = tmp_path / "out.parquet"
    run(files, "--raw", "--out", str(out))
    table = parquet.read_table(out)
    assert table.column_names == ["device_id", "time", "zone_id", "transition"]
    rows = [tuple(row.values()) for row in table.to_pylist()]
    assert len(rows) == 5
    assert rows[1] == ("b", datetime(2026, 1, 1, 0, 0, 0, 250_000, UTC), "west", "enter")


def test_a_gpx_file_has_a_waypoint_for_each_transition(files, tmp_path):
    zones = json.loads(json.dumps(ZONES))
    zones["features"][0]["id"] = "<west>&\x00"
    files["--zones"].write_text(json.dumps(zones))
    out = tmp_path / "out.gpx"
    run(files, "--out", str(out), "--exit-confirm-fixes", "1", "--max-speed-mps", "1e9")
    space = {"": "http://www.topografix.com/GPX/1/1"}
    points = ElementTree.parse(out).getroot().findall("wpt", space)
    assert len(points) == 5
    assert (points[0].get("lat"), points[0].get("lon")) == ("1.0", "1.0")
    assert points[0].findtext("name", namespaces=space) == "<west>&\ufffd enter"
    assert points[0].findtext("time", namespaces=space) == "2026-01-01T00:00:05Z"


def test_without_raw_more_columns_follow(files):
    first, line, *_ = run(files).stdout.splitlines()
    assert first == RAW.splitlines()[0] + ",lat,lon,cause,inferred,dwell_s,event"
    assert line == "a,2026-01-01T00:00:05Z,west,enter,1.0,1.0,initial,,,asset.geofence_breach"


@pytest.mark.parametrize(
    ("option", "name"),
    [("--out", "x.txt"), ("--out", "x.parquet.gz"), ("--out", "csv"), ("--fixes", "x.txt")],
)
def test_a_format_that_is_not_known_is_wrong_usage(files, tmp_path, option, name):
    (tmp_path / name).touch()
    result = run(files | {option: tmp_path / name})
    assert result.exit_code == 2
    assert "must end in" in " ".join(result.stderr.split())


def test_each_rule_is_an_option_with_its_default():
    options = {p.name: p.default for p in inspect.signature(replay).parameters.values()}
    for field in dataclasses.fields(Rules):
        assert options[field.name] == field.default


# In the west at 10 s, then out of it but for one fix that is not accurate.
RULED = """device_id,time,lat,lon,accuracy_m
a,2026-01-01T00:00:00Z,1,-1,5
a,2026-01-01T00:00:10Z,1,1,5
a,2026-01-01T00:00:20Z,1,-1,5
a,2026-01-01T00:00:30Z,1,1,900
a,2026-01-01T00:00:40Z,1,-1,5
a,2026-01-01T00:00:50Z,1,-1,5
"""


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ({}, ["10 enter", "20 exit"]),
        ({"exit_confirm_fixes": 1}, ["10 enter", "20 exit"]),
        ({"exit_confirm_fixes": 3}, ["10 enter", "20 exit"]),
        ({"exit_confirm_fixes": 4}, ["10 enter"]),
        ({"exit_buffer_m": 10_000}, ["10 enter", "20 exit"]),
        ({"exit_confirm_seconds": 25}, ["10 enter", "20 exit"]),
        ({"enter_confirm_fixes": 2}, []),
        ({"dwell_seconds": 5}, ["10 enter", "15 dwell", "20 exit"]),
        ({"close_after_silence_seconds": 5, "max_gap_seconds": 0}, ["10 enter", "15 exit"]),
    ],
)
def test_a_rule_counts_by_option_and_by_property(files, rules, found):
    def times(result) -> list[str]:
        assert result.exit_code == 0
        lines = [line.split(",") for line in result.stdout.splitlines()[1:]]
        return [f"{line[1][17:19]} {line[3]}" for line in lines]

    fast = ["--max-speed-mps", "1e6"]
    files["--fixes"].write_bytes(gzip.compress(RULED.encode()))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in rules.items()]
    assert times(run(files, *fast, *options)) == found
    zones = json.loads(json.dumps(ZONES))
    zones["features"][0]["properties"] = rules
    files["--zones"].write_text(json.dumps(zones))
    against = ["--exit-confirm-fixes", "2"]
    assert times(run(files, *fast, *against)) == found


def test_gates_leave_fixes_out(files):
    files["--fixes"].write_bytes(gzip.compress(RULED.encode()))
    suspect = json.loads(run(files, "--json").stderr)["suspect"]
    assert suspect > 0
    loose = ["--max-speed-mps", "1e6", "--max-accuracy-m", "1000", "--exit-confirm-fixes", "1"]
    result = run(files, *loose, "--json")
    assert json.loads(result.stderr)["suspect"] == 0
    assert [line.split(",")[3] for line in result.stdout.splitlines()[1:]] == [
        "enter", "exit", "enter", "exit",
    ]  # fmt: skip


def test_a_zone_between_two_fixes_is_passed_through(files):
    trace = "device_id,time,lat,lon\na,2026-01-01T00:00:00Z,1,-1\na,2026-01-01T00:01:00Z,1,7\n"
    files["--fixes"].write_bytes(gzip.compress(trace.encode()))
    lines = run(files, "--max-speed-mps", "1e6").stdout.splitlines()[1:]
    assert [line.split(",")[-7:-2] for line in lines if ",west," in line] == [
        ["enter", "1.0", "0.0", "moved", "segment"],
        ["exit", "1.0", "2.0", "moved", "segment"],
    ]
    assert run(files, "--max-speed-mps", "1e6", "--max-gap-seconds", "59").stdout.count("\n") == 1


EXACT = """device_id,time,lat,lon
a,2026-01-01T00:00:00Z,1.2345678901234567,0.00000001234567
a,2026-01-01T00:00:10Z,1.5,-0.0000003
a,2026-01-01T00:00:20Z,1.5,-0.0000004
"""


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet", ".gpx"])
def test_places_are_written_in_full_and_without_exponents(files, tmp_path, suffix):
    files["--fixes"].write_bytes(gzip.compress(EXACT.encode()))
    out = tmp_path / f"out{suffix}"
    result = run(files, "--out", str(out), "--max-speed-mps", "1e9")
    assert result.exit_code == 0
    assert places_in(out) == [(1.2345678901234567, 0.00000001234567), (1.5, -0.0000003)]


def places_in(out: Path) -> list[tuple[float, float]]:
    if out.suffix == ".parquet":
        return [(row["lat"], row["lon"]) for row in parquet.read_table(out).to_pylist()]
    lines = out.read_text().splitlines()
    if out.suffix == ".ndjson":
        return [(row["lat"], row["lon"]) for row in map(json.loads, lines)]
    if out.suffix == ".csv":
        texts = [(row["lat"], row["lon"]) for row in csv.DictReader(lines)]
    else:
        texts = re.findall(r'<wpt lat="([^"]*)" lon="([^"]*)"', out.read_text())
    assert "e" not in "".join(lat + lon for lat, lon in texts)
    return [(float(lat), float(lon)) for lat, lon in texts]


def test_a_rule_out_of_range_is_wrong_usage(files):
    result = run(files, "--exit-confirm-fixes", "0")
    assert result.exit_code == 2
    assert "exit_confirm_fixes must be from 1" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("value", "says"), [(-1, "must be from 0"), ("far", "a number"), (True, "a number")]
)
def test_a_bad_rule_of_a_zone_is_an_error_that_names_it(files, value, says):
    zones = json.loads(json.dumps(ZONES))
    zones["features"][0]["properties"]["exit_buffer_m"] = value
    files["--zones"].write_text(json.dumps(zones))
    result = run(files)
    assert isinstance(result.exception, StackError)
    assert "zone west: properties.exit_buffer_m" in str(result.exception)
    assert says in str(result.exception)
    assert run(files, "--raw").stdout == RAW


def test_an_invalid_zone_is_repaired_with_a_warning_that_names_it(files):
    bow_tie = [[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]
    zones = json.loads(json.dumps(ZONES))
    zones["features"][0]["geometry"]["coordinates"] = [bow_tie]
    files["--zones"].write_text(json.dumps(zones))
    result = run(files, "--raw")
    assert "warning: zone west is repaired: edges cross" in result.stderr
    assert "a,2026-01-01T00:00:00Z,west,enter" in result.stdout


def test_a_zone_that_cannot_be_repaired_is_left_out_with_a_warning(files):
    zones = json.loads(json.dumps(ZONES))
    zones["features"][0]["geometry"]["coordinates"] = [[[0, 0], [1, 0], [2, 0], [0, 0]]]
    files["--zones"].write_text(json.dumps(zones))
    result = run(files, "--raw")
    assert result.exit_code == 0
    assert "warning: zone west is left out" in result.stderr
    assert "west" not in result.stdout


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        ("--zones", b"{", "not JSON"),
        ("--zones", b"{}", "FeatureCollection"),
        ("--fixes", b"no gzip", "gzip"),
        ("--fixes", gzip.compress(TRACE.encode(), mtime=0)[:-9], "end-of-stream"),
        ("--fixes", gzip.compress(b"device_id,time,lat,lon\na,now,1,1\n", mtime=0), "line 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(files, option, content, says):
    files[option].write_bytes(content)
    result = run(files)
    assert isinstance(result.exception, StackError)
    assert str(files[option]) in str(result.exception)
    assert says in str(result.exception)


def test_a_file_that_is_not_there_is_wrong_usage(files):
    files["--zones"].unlink()
    assert run(files).exit_code == 2


def test_a_trace_without_fixes_has_no_transitions(files):
    files["--fixes"].write_bytes(gzip.compress(b"device_id,time,lat,lon\n"))
    result = run(files, "--raw")
    assert (result.exit_code, result.stdout) == (0, RAW.splitlines(keepends=True)[0])


def test_where_a_file_cannot_be_written_is_wrong_usage(files, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    trace = files["--fixes"].read_bytes()
    for option, name, says in (
        ("--out", "folder.csv", "is a directory"),
        ("--map", "folder.csv", "is a directory"),
        ("--out", "nowhere/x.csv", "there is no folder"),
        ("--map", "nowhere/x.html", "there is no folder"),
        ("--out", files["--fixes"].name, "is another file that this replay"),
        ("--map", files["--zones"].name, "is another file that this replay"),
    ):
        result = run(files, option, str(tmp_path / name))
        assert result.exit_code == 2
        assert says in " ".join(result.stderr.replace("\u2502", " ").split())
    assert files["--fixes"].read_bytes() == trace


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
@pytest.mark.parametrize(("option", "name"), [("--out", "x.csv"), ("--map", "x.html")])
def test_a_disk_that_is_full_is_an_error_that_leaves_nothing(files, tmp_path, option, name):
    (tmp_path / f"{name}.part").symlink_to("/dev/full")
    result = run(files, option, str(tmp_path / name))
    assert isinstance(result.exception, StackError)
    assert str(result.exception) == f"cannot write {tmp_path / name}: No space left on device"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(name)]


# What is doubtful ----------------------------------------------------------------------------


def told(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_a_lone_feature_without_an_id_is_numbered_and_that_is_said(files):
    files["--zones"].write_text(json.dumps(ZONES["features"][0] | {"id": None}))
    result = run(files, "--raw")
    assert result.exit_code == 0
    assert "a,2026-01-01T00:00:00Z,feature-0,enter" in result.stdout
    assert "warning: features without an id, which are numbered: 1, feature-0" in result.stderr


def test_kind_is_that_of_zones_without_one(files):
    west, east = ZONES["features"]
    east = east | {"id": "east", "properties": east["properties"] | {"kind": "restricted"}}
    trace = TRACE.replace("b,2026-01-01T00:00:30Z,9,9", "b,2026-01-01T00:00:30Z,1,3")
    files["--fixes"].write_bytes(gzip.compress(trace.encode()))
    files["--zones"].write_text(json.dumps(ZONES | {"features": [west, east]}))
    any_speed = ("--max-speed-mps", "1e9")
    alerting = {line.split(",")[2] for line in events_of(run(files, *any_speed))}
    quiet = {line.split(",")[2] for line in events_of(run(files, *any_speed, "--kind", "yard"))}
    assert (alerting, quiet) == ({"east", "west"}, {"east"})


def events_of(result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [line for line in result.stdout.splitlines() if line.endswith("asset.geofence_breach")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--kind", "garden"], "'garden' must be one of restricted, allowed, jobsite, yard, other"),
        (["--map-device", "a"], "needs --map"),
    ],
)
def test_options_that_cannot_be_are_wrong_usage(files, options, says):
    result = run(files, *options)
    assert result.exit_code == 2
    assert says in told(result.stderr)


@pytest.mark.parametrize(("jumps", "is_said"), [(1, False), (2, True)])
def test_where_a_tenth_of_the_fixes_is_suspect_it_is_said_with_probable_causes(
    files, jumps, is_said
):
    ways = [(second, 50 if second < 2 * jumps and second % 2 else 1) for second in range(20)]
    lines = [f"a,2026-01-01T00:00:{s:02}Z,{lat},1\n" for s, lat in ways]
    files["--fixes"].write_bytes(
        gzip.compress(f"device_id,time,lat,lon\n{''.join(lines)}".encode())
    )
    stderr = run(files).stderr
    assert f"{jumps} suspect" in stderr
    assert ("warning: 2 of 20 fixes are suspect" in stderr) == is_said
    assert ("several devices under one device_id" in stderr) == is_said
    (warning,) = json.loads(run(files, "--json").stderr)["warnings"] if is_said else ("2 of 20",)
    assert warning.startswith("2 of 20")
    assert "are suspect and" not in run(files, "--raw").stderr


def test_seconds_in_the_place_of_milliseconds_are_said(files, tmp_path):
    files["--fixes"] = tmp_path / "trace.ndjson"
    fix = {"device_id": "a", "lat": 1, "lon": 1}
    for unit, is_said in ((1, True), (1000, False)):
        times = (1_767_225_600 * unit, 1_767_225_601 * unit)
        files["--fixes"].write_text("".join(json.dumps(fix | {"time": t}) + "\n" for t in times))
        for options in ((), ("--raw",)):
            stderr = run(files, *options).stderr
            assert ("2 of 2 fixes have times of January and February 1970" in stderr) == is_said


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.csv", "device_id;time;lat;lon\na;2026-01-01T00:00:00Z;1,5;1,5\n", "by semicolons:"),
        ("t.csv", "device_id\ttime\tlat\tlon\n", "by tabs: separate fields by commas"),
        ("t.csv", "device_id,time,lat,lon\na,1767225600,1,1\n", "looks like seconds since 1970"),
        ("t.csv", "device_id,time,lat,lon\na,1767225600123,1,1\n", "like milliseconds since"),
        (
            "t.ndjson",
            '{"device_id":"a","time":1767225600123456,"lat":1,"lon":1}\n',
            "it looks like microseconds since 1970; NDJSON and Parquet take numbers, as millisec",
        ),
    ],
)
def test_a_likely_slip_in_a_trace_is_named(files, tmp_path, name, content, says):
    files["--fixes"] = tmp_path / name
    files["--fixes"].write_text(content)
    result = run(files)
    assert isinstance(result.exception, StackError)
    assert says in str(result.exception)


def test_a_device_that_the_map_should_have_whole_must_be_there(files, tmp_path):
    options = ("--map", str(tmp_path / "m.html"), "--out", str(tmp_path / "o.csv"))
    assert "no such device" not in run(files, *options, "--map-device", "a").stderr
    result = run(files, *options, "--map-device", "zebra")
    assert "warning: --map-device zebra: the trace has no such device" in result.stderr
