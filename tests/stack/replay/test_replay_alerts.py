"""What a replay says would be told: kinds, hours and choices of devices from zone properties."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from geofence.model.policy import Policy, event_type
from geofence.model.rules import Gates, Rules
from geofence.model.schedule import opens_between, parse_schedule
from geofence.model.transitions import TRANSITION_DTYPE, Cause, Inferred, Transition
from geofence.shapes.geojson import ZoneFeature
from stack.cli.main import build
from stack.errors import StackError
from stack.replay.input.trace_rows import TRACE_DTYPE
from stack.replay.judge import EventTypes, Judge
from stack.replay.schedule_starts import ZoneScheduleStarts
from stack.replay.tally import Tally
from stack.replay.zones import ZoneSet, zone_set_of
from telemetry.times import parse_time_us

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
NIGHT = {"timezone": "Asia/Kathmandu", "windows": [{"days": DAYS, "from": "18:00", "to": "06:00"}]}
OPENS = "2026-01-01T12:15:00Z"  # when it is 18:00 in Kathmandu
BREACH, DWELL = "asset.geofence_breach", "asset.geofence_dwell"


def run(folder: Path, properties: dict, lines: list[str], *options: str):
    """Replay fixes of device,time,lon lines against one square."""
    feature = {"type": "Feature", "id": "z", "properties": properties, "geometry": SQUARE}
    zones, trace = folder / "zones.geojson", folder / "trace.csv"
    zones.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    fixes = [f"{device},2026-01-01T{at}Z,1,{lon}" for device, at, lon in map(str.split, lines)]
    trace.write_text("\n".join(["device_id,time,lat,lon", *fixes]))
    paths = ["--zones", str(zones), "--fixes", str(trace), "--max-speed-mps", "1e9"]
    return CliRunner().invoke(build("replay"), ["replay", *paths, *options])


def told(folder: Path, properties: dict, lines: list[str], *options: str) -> list[str]:
    result = run(folder, properties, lines, *options)
    assert result.exit_code == 0, result.exception
    rows = [line.split(",") for line in result.stdout.splitlines()[1:]]
    return [" ".join((row[0], row[1][11:19], row[3], row[-1])).strip() for row in rows]


IN_AND_OUT = ["a 01:00:00 1", "a 02:00:00 9", "a 02:30:00 9", "a 03:00:00 1", "a 04:00:00 1"]


@pytest.mark.parametrize(
    ("properties", "events"),
    [
        ({}, [BREACH, BREACH, BREACH]),
        ({"kind": None, "alert_on": None, "schedule": None, "assets": None}, [BREACH] * 3),
        ({"kind": "allowed"}, ["", BREACH, BREACH]),
        ({"kind": "jobsite"}, ["", "", ""]),
        ({"kind": "yard", "alert_on": ["exit"]}, ["", BREACH, ""]),
        ({"alert_on": []}, ["", "", ""]),
        ({"kind": "other", "dwell_seconds": 3599}, ["", DWELL, "", "", DWELL]),
        ({"schedule": NIGHT}, ["", "", ""]),
        ({"kind": "allowed", "close_after_silence_seconds": 60}, [""] * 6),
    ],
)
def test_the_event_of_a_transition_follows_kind_and_alert_on(tmp_path, properties, events):
    lines = told(tmp_path, properties, IN_AND_OUT)
    assert [[*line.split(), ""][3] for line in lines] == events
    assert run(tmp_path, properties, IN_AND_OUT, "--raw").stdout.count("\n") == 4


def test_a_speed_above_the_limit_of_a_zone_is_told_once_a_stay(tmp_path):
    zones, trace = tmp_path / "zones.geojson", tmp_path / "trace.csv"
    feature = {"type": "Feature", "id": "z", "geometry": SQUARE}
    steps = [(1, "13.9"), (1, ""), (1, "14"), (1, "20"), (9, "20"), (9, "20"), (1, "15")]
    lines = [f"a,2026-01-01T0{n}:00:00Z,1,{lon},{mps}" for n, (lon, mps) in enumerate(steps)]
    trace.write_text("\n".join(["device_id,time,lat,lon,speed_mps", *lines]))
    for limit, options in (({"speed_limit_mps": 13.9}, []), ({}, ["--speed-limit-mps", "13.9"])):
        properties = {"kind": "yard"} | limit
        zones.write_text(json.dumps(feature | {"properties": properties}))
        paths = ["--zones", str(zones), "--fixes", str(trace), "--max-speed-mps", "1e9"]
        result = CliRunner().invoke(build("replay"), ["replay", *paths, *options])
        assert result.exit_code == 0, result.exception
        rows = [line.split(",") for line in result.stdout.splitlines()[1:]]
        assert [(row[1][11:13], row[3], row[-1]) for row in rows] == [
            ("00", "enter", ""),
            ("02", "overspeed", "asset.overspeed"),
            ("04", "exit", ""),
            ("06", "enter", ""),
            ("06", "overspeed", "asset.overspeed"),
        ]


def test_hours_begin_for_who_is_in_the_wrong_place(tmp_path):
    fixes = ["in 12:00:00 1", "in 12:30:00 1", "out 12:00:00 9", "out 12:30:00 9"]
    hours = "12:15:00 schedule asset.geofence_breach"
    enter = "in 12:00:00 enter"
    assert told(tmp_path, {"schedule": NIGHT}, fixes) == [enter, f"in {hours}"]
    allowed = {"schedule": NIGHT, "kind": "allowed"}
    assert told(tmp_path, allowed, fixes) == [enter, f"out {hours}"]
    assert told(tmp_path, {"schedule": NIGHT, "alert_on": ["exit"]}, fixes) == [enter]
    assert told(tmp_path, {"schedule": NIGHT, "kind": "yard"}, fixes) == [enter]
    assert sorted(told(tmp_path, allowed, fixes, "--unsorted")) == [enter, f"out {hours}"]


def test_who_is_inside_when_hours_begin_has_been_there_for_a_while(tmp_path):
    fixes = ["in 12:00:00 1", "in 12:30:00 1", "out 12:00:00 9", "out 12:30:00 9"]
    for kind, row in (("restricted", "timer,900"), ("allowed", "timer,")):
        lines = run(tmp_path, {"schedule": NIGHT, "kind": kind}, fixes).stdout.splitlines()
        (line,) = (line for line in lines if ",schedule," in line)
        assert line.endswith(f",schedule_started,{row},{BREACH}")


def test_after_its_last_fix_no_hours_begin_for_a_device(tmp_path):
    fixes = ["a 12:00:00 1", "b 12:00:00 1", "b 12:15:00 1", "c 12:20:00 1"]
    lines = told(tmp_path, {"schedule": NIGHT}, fixes)
    assert [line for line in lines if "schedule" in line] == [f"b 12:15:00 schedule {BREACH}"]


def test_a_summary_counts_events(tmp_path):
    fixes = ["in 12:00:00 1", "in 12:30:00 1"]
    properties = {"schedule": NIGHT, "dwell_seconds": 1500}
    summary = json.loads(run(tmp_path, properties, fixes, "--json").stderr)
    assert summary["events"] == {BREACH: 1, DWELL: 1, "asset.overspeed": 0}
    assert (summary["enter"], summary["schedule"], summary["dwell"]) == (1, 1, 1)
    assert f"would tell: 1 {BREACH}, 1 {DWELL}" in run(tmp_path, properties, fixes).stderr
    assert "events" not in json.loads(run(tmp_path, properties, fixes, "--json", "--raw").stderr)


def test_a_zone_that_names_devices_bears_on_them_alone(tmp_path):
    fixes = ["a 01:00:00 1", "b 01:00:00 1", "c 01:00:00 1"]
    lines = told(tmp_path, {"assets": {"ids": ["c", "a", "x"], "tags": []}}, fixes)
    assert [line[0] for line in lines] == ["a", "c"]
    result = run(tmp_path, {"assets": {"ids": ["x"]}}, fixes)
    assert result.stdout.count("\n") == 1
    assert "warning: zone z bears on no device of the trace" in result.stderr
    assert run(tmp_path, {"assets": {"ids": ["x"]}}, fixes, "--raw").stdout.count("\n") == 4


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"kind": "castle"}, "kind must be one of"),
        ({"kind": 3}, "kind must be one of"),
        ({"alert_on": "enter"}, "alert_on must be a list"),
        ({"alert_on": ["arrive"]}, "alert_on must be of enter"),
        ({"alert_on": [["enter"]]}, "alert_on must be a list"),
        ({"schedule": "nights"}, "schedule: not an object"),
        ({"schedule": NIGHT | {"timezone": "Kathmandu"}}, "schedule/timezone: "),
        ({"assets": ["a"]}, "assets must be an object"),
        ({"assets": {"names": ["a"]}}, "assets must be an object"),
        ({"assets": {"ids": []}}, "assets.ids must be a list of device ids"),
        ({"assets": {"ids": [7]}}, "assets.ids must be a list of device ids"),
        ({"assets": {"ids": ["a"], "tags": ["night"]}}, "assets.tags: a trace tells of no tags"),
    ],
)
def test_a_bad_property_is_an_error_that_names_zone_and_property(tmp_path, properties, says):
    result = run(tmp_path, properties, IN_AND_OUT)
    assert isinstance(result.exception, StackError)
    assert str(result.exception).startswith(f"zone z: properties.{says}")


def zones_with_hours(kinds: list[str]) -> ZoneSet:
    features = [
        ZoneFeature(f"z{place}", None, SQUARE, None, {"kind": kind, "schedule": NIGHT})
        for place, kind in enumerate(kinds)
    ]
    return zone_set_of(features, lambda text: None, Rules(exit_confirm_fixes=1))


def judged(zones: ZoneSet, rows: np.ndarray, most: int) -> list[tuple[int, ...]]:
    schedule_starts = ZoneScheduleStarts(zones.policies, most)
    judge = Judge(zones, ["a", "b"], Gates.open(), parse_time_us(OPENS), Tally(), schedule_starts)
    found, start = [], 0
    while start < len(rows):
        some = rows[start : start + judge.fixes_at_once(rows[start:])]
        found.append(judge.judge(some, ended=False))
        start += len(some)
    names = ("asset", "time_us", "zone", "transition")
    return sorted(tuple(int(row[name]) for name in names) for part in found for row in part)


fixes = st.tuples(st.integers(0, 1), st.integers(0, 60 * 24), st.sampled_from([1.0, 9.0]))


@given(st.lists(fixes, min_size=1, max_size=12), st.sampled_from([1, 3, 7, 50]))
def test_few_schedule_starts_at_a_time_give_what_all_of_them_give(trace, most):
    zones = zones_with_hours(["restricted", "allowed", "yard"])
    rows = np.zeros(len(trace), TRACE_DTYPE)
    for row, (tracker, hour, lon) in zip(rows, sorted(trace, key=lambda fix: fix[1]), strict=True):
        row["tracker"], row["lat"], row["lon"], row["accuracy_m"] = tracker, 1, lon, np.nan
        row["time_us"] = parse_time_us(OPENS) + hour * 3_600_000_000
    assert judged(zones, rows, most) == judged(zones, rows, 1_000_000)


@given(
    st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 400)), min_size=1, max_size=5),
    st.sampled_from([1, 40, 10_000]),
)
def test_schedule_starts_are_those_of_the_schedule(spans, most):
    policies = [Policy(kind, schedule=parse_schedule(NIGHT)) for kind in ("restricted", "yard")]
    schedule_starts, day_us = ZoneScheduleStarts(policies, most), 86_400_000_000
    for first, days in spans:
        after_us, until_us = first * day_us, (first + days) * day_us
        agendas = list(schedule_starts.agendas(after_us, until_us))
        given = np.concatenate([agenda.schedule_start["time_us"] for agenda in agendas])
        portions = range(after_us, until_us, 92 * day_us)
        ends = [min(start + 92 * day_us, until_us) for start in portions]
        spans_us = zip(portions, ends, strict=True)
        each = [opens_between(parse_schedule(NIGHT), *span) for span in spans_us]
        assert given.tolist() == [instant for some in each for instant in some]
        assert max(len(agenda.schedule_start) for agenda in agendas) <= max(most, 1) + 1


kinds = st.sampled_from(["restricted", "allowed", "yard"])
policies = st.builds(Policy, kinds, schedule=st.sampled_from([None, parse_schedule(NIGHT)]))
words = st.tuples(
    st.sampled_from(["enter", "exit", "dwell", "overspeed"]),
    st.sampled_from([cause for cause in Cause if cause != Cause.SCHEDULE_STARTED]),
    st.sampled_from(list(Inferred)),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 59_999_999, 60_000_000]),
)


@given(st.lists(policies, min_size=1, max_size=4), st.lists(words, max_size=20))
def test_events_are_those_of_the_policy_to_the_microsecond(policies, transitions):
    found = np.zeros(len(transitions), TRANSITION_DTYPE)
    expected: list[str] = []
    for place, (word, cause, inferred, returning, away_us) in enumerate(transitions):
        zone, time_us = place % len(policies), parse_time_us(OPENS) + away_us
        row = found[place]
        row["zone"], row["cause"], row["inferred"] = zone, cause, inferred
        row["transition"], row["returning"] = Transition[word.upper()], returning
        row["time_us"] = time_us
        segment = "segment" if inferred == Inferred.SEGMENT else None
        kind = event_type(
            policies[zone], word, cause.name.lower(), segment, time_us, left_before=returning
        )
        expected.append(kind or "")
    assert EventTypes(policies).of(found) == expected
