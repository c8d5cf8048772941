"""`opsc sim`: what it refuses, what it makes of files, and a whole run against a running system."""

import asyncio
import csv
import gzip
import itertools
import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from device_sim.crew import PUNCH_FAULTS
from device_sim.motion import StreetPlan
from device_sim.payloads import PayloadFormat
from device_sim.schedule import Slice
from geofence.geometry.queries import covers
from geofence.model.schedule import is_open, opens_between, parse_schedule
from geofence.shapes.geojson import ShapeError, read_shape, read_zones
from geofence.shapes.types import Circle, Shape
from stack.cli.main import build
from stack.cli.organizations.org import create_with_admin
from stack.scenario.api_client import ApiClient
from stack.scenario.rule_zones import CHARACTERS, RuleSet, hours_from, zones_on_the_way
from stack.scenario.scenario import moving_scenario, with_glitches
from stack.scenario.zones import SimZone, zones_of_features
from telemetry.fix import FixBatch, blank_rows
from tests.fork_server import fresh_starts
from tests.stack.command import OPSC, Installation, opsc, plain_environment

STREETS = StreetPlan(vehicles=10, rate_hz=1, seconds=120, seed=4)
SQUARE = [[13.0, 52.0], [13.1, 52.0], [13.1, 52.1], [13.0, 52.1], [13.0, 52.0]]
BOW_TIE = [[13.0, 52.0], [13.1, 52.1], [13.1, 52.0], [13.0, 52.1], [13.0, 52.0]]
MIDNIGHT_US = 1_800_000_000_000_000 // 86_400_000_000 * 86_400_000_000
HEADER = "device_id,time,lat,lon,altitude_m,speed_mps,course_deg,accuracy_m\n"


# What is refused -----------------------------------------------------------------------------


def told_of_wrong_usage(*arguments: str) -> str:
    result = CliRunner().invoke(build("sim"), ["sim", *arguments])
    assert result.exit_code == 2
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--replay", "t.csv", "--trackers", "3"], "--replay cannot be used with"),
        (["--speed", "10"], "need --replay"),
        (["--original-times"], "need --replay"),
        (["--verify", "--webhook-url", "https://hooks.example.com"], "--webhook-url needs"),
        (["--ramp", "61"], "--ramp 61 is longer than the run: --seconds 60"),
        (["--ramp", "5", "--replay", "t.csv"], "--ramp cannot be used with --replay"),
        (["--out", "run.txt"], "must end in .csv or .ndjson"),
        (["--api-url", "http://127.0.0.1:9"], "a system elsewhere needs OPSC_API_KEY"),
        (["--replay", "nowhere.csv"], "nowhere.csv"),
        (["--zones", "nowhere.geojson"], "nowhere.geojson"),
        (["--trackers", "0"], "equal to 1"),
        (["--format", "xml"], "xml"),
        (["--rules", "some"], "some"),
        (["--faults", "lost=1"], "'lost' is none of the faults duplicate,"),
        (["--faults", "nan=0.1", "--format", "packed"], "nan needs the format json or msgpack"),
        (["--trackers", "100001"], "equal to 100000"),
        (["--connections", "0"], "equal to 1"),
        (["--verify", "--batch", "2", "--rules", "all"], "within 0.3 s"),
        (["--verify", "--receipts", "--rules", "all"], "within 0.3 s"),
        (["--verify", "--faults", "duplicate=0.1", "--edits", "1"], "within 0.3 s"),
        (["--verify", "--batch", "2", "--edits", "1"], "within 0.3 s"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(arguments: list[str], told: str) -> None:
    assert told in told_of_wrong_usage(*arguments)


def test_without_a_running_system_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    result = opsc("sim", "--data", tmp_path / "none")
    assert result.returncode == 1
    assert "opsc up" in result.stderr


def test_a_former_name_is_said_and_two_values_for_one_setting_are_refused() -> None:
    there = {"OPSC_API_URL": "http://127.0.0.1:1", "OPSC_API_KEY": "x"}
    result = opsc("sim", **there, OPSC_BROKER_CA="/a", OPSC_BROKER_TLS_CA="/b")
    assert result.returncode == 2
    assert "OPSC_BROKER_CA is called OPSC_BROKER_TLS_CA now" in result.stderr
    assert "OPSC_BROKER_TLS_CA and OPSC_BROKER_CA, its former name: have" in result.stderr


def test_more_connections_than_open_files_are_refused_with_what_would_do(tmp_path: Path) -> None:
    limited = f"ulimit -n 300; exec {OPSC} sim --data {tmp_path} --trackers 500"
    result = subprocess.run(
        ["bash", "-c", limited], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert "--connections 200" in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", HEADER.encode() + b"a,yesterday,1,2,,,,\n", "line 2"),
        ("t.csv", HEADER.encode(), "no fix"),
        ("t.csv", b"", "empty"),
        ("t.csv.gz", b"no gzip", "zip"),
        ("t.csv.gz", gzip.compress(HEADER.encode() * 99, mtime=0)[:40], "end"),
    ],
)
def test_a_trace_that_cannot_be_read_is_named_with_its_fault(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert told in told_of_wrong_usage("--replay", str(path))


@pytest.mark.parametrize(
    "properties",
    [
        {"dwell_seconds": 60},
        {"close_after_silence_seconds": 60},
        {"schedule": {"timezone": "UTC", "windows": []}},
    ],
)
def test_a_replay_against_deadlines_that_lie_in_the_past_is_not_verified(
    tmp_path: Path, properties: dict[str, Any]
) -> None:
    trace, zones = tmp_path / "trace.csv", tmp_path / "zones.geojson"
    trace.write_bytes(odd_trace())
    zones.write_bytes(zone_file(feature(SQUARE, **properties)))
    told = told_of_wrong_usage("--verify", "--replay", str(trace), "--zones", str(zones))
    assert "zone z has deadlines or hours" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--punch-faults", "mock=0.1"], "--punch-faults needs --employees"),
        (["--employees", "3", "--punch-faults", "sleepy=1"], "none of the faults forget"),
        (["--employees", "3", "--seconds", "5"], "needs 10 s or more"),
        (["--employees", "3", "--api-url", "http://example.com"], "organization of its own"),
    ],
)
def test_a_crew_that_cannot_be_is_refused(arguments: list[str], told: str) -> None:
    assert told in told_of_wrong_usage(*arguments)


# Scenarios -----------------------------------------------------------------------------------


def feature(ring: list[list[float]], **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "id": "z", "properties": properties, "geometry": geometry}


def zone_file(*features: dict[str, Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def shape_of(zone: SimZone) -> Shape:
    return read_shape(zone.geometry, radius_m=zone.radius_m, width_m=zone.width_m)


def test_every_zone_on_the_way_is_valid_and_all_but_the_spots_are_reached() -> None:
    fixes = list(itertools.chain.from_iterable(part.fixes.rows for part in STREETS.slices(0)))
    zones = zones_on_the_way(STREETS.slices, seed=4, now_us=0)
    assert len(zones) == len({zone.external_id for zone in zones}) == 20
    for zone, character in zip(zones, CHARACTERS, strict=True):
        shape = shape_of(zone)
        is_reached = any(covers(shape, [fix["lon"]], [fix["lat"]])[0] for fix in fixes)
        assert is_reached or character.where == "spot"


def test_a_spot_lies_between_two_fixes_of_a_tracker_and_holds_neither() -> None:
    rows = np.concatenate([part.fixes.rows for part in STREETS.slices(0)])
    zones = zones_on_the_way(STREETS.slices, seed=4, now_us=0)
    spots = [zone for zone, one in zip(zones, CHARACTERS, strict=True) if one.where == "spot"]
    assert spots
    for zone in spots:
        circle = shape_of(zone)
        assert isinstance(circle, Circle)
        ways = [rows[rows["tracker"] == tracker] for tracker in range(STREETS.vehicles)]
        middles = [(way["lon"][1:] + way["lon"][:-1]) / 2 for way in ways]
        tracker, step = min(
            (abs(middle[step] - circle.lon), tracker, step)
            for tracker, middle in enumerate(middles)
            for step in range(len(middle))
        )[1:]
        ends = ways[tracker][step : step + 2]
        assert not covers(circle, ends["lon"], ends["lat"]).any()


@pytest.mark.parametrize(
    ("places", "zones"),
    [([(52.0, 13.0)], 20), ([(52.0, 13.0)] * 50, 20), ([(95.0, 13.0)], 0), ([(89.0, 180.0)], 20)],
)
def test_zones_are_found_for_trackers_that_stand_or_are_nowhere(
    places: list[tuple[float, float]], zones: int
) -> None:
    rows = blank_rows(len(places))
    for row, (lat, lon) in zip(rows, places, strict=True):
        row["lat"], row["lon"] = lat, lon
    found = zones_on_the_way(lambda _: iter([Slice(np.zeros(len(rows)), FixBatch(rows))]), 1, 0)
    assert len(found) == zones
    for zone in found:
        shape_of(zone)


def test_the_same_seed_gives_the_same_zones() -> None:
    first, again, other = (zones_on_the_way(STREETS.slices, seed, 0) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("rule_set", [RuleSet.UNTIMED, RuleSet.DEFAULT])
def test_zones_without_deadlines_lie_where_the_others_do(rule_set: RuleSet) -> None:
    every = zones_on_the_way(STREETS.slices, 1, 0)
    fewer = zones_on_the_way(STREETS.slices, 1, 0, rule_set)
    assert [zone.geometry for zone in fewer] == [zone.geometry for zone in every]
    assert any(zone.is_timed for zone in every)
    assert not any(zone.is_timed for zone in fewer)
    assert any(zone.rules for zone in fewer) == (rule_set is RuleSet.UNTIMED)


def test_hours_open_at_the_next_full_minute_whatever_the_time_of_day() -> None:
    for minute in range(0, 24 * 60, 7):
        instant_us = MIDNIGHT_US + minute * 60_000_000 + 1
        schedule = parse_schedule(hours_from(instant_us))
        opens_us = instant_us - 1 + 60_000_000
        assert opens_between(schedule, instant_us, instant_us + 120_000_000) == [opens_us]
        assert not is_open(schedule, opens_us - 1)


def test_now_and_then_a_receiver_errs_and_never_twice_in_a_row() -> None:
    true = np.concatenate([part.fixes.rows for part in STREETS.slices(0)])
    told = np.concatenate([part.fixes.rows for part in with_glitches(STREETS.slices)(0)])
    is_spoilt = true != told
    assert 0 < np.count_nonzero(is_spoilt) < len(true) / 9
    for tracker in range(STREETS.vehicles):
        own = is_spoilt[true["tracker"] == tracker]
        assert not (own[1:] & own[:-1]).any()
    assert (told["accuracy_m"] > 200).any()
    assert ((told["accuracy_m"] > 30) & (told["accuracy_m"] < 200)).any()
    assert (np.abs(told["lat"] - true["lat"]) > 0.05).any()


def test_devices_have_names_of_one_length_and_fixes_are_counted() -> None:
    scenario = moving_scenario(STREETS, now_us=0)
    assert scenario.devices[0] == "sim-01"
    assert scenario.devices[-1] == "sim-10"
    assert scenario.fixes == sum(len(part.fixes) for part in scenario.schedule(0)) == 1200


def test_an_invalid_zone_is_repaired_with_a_warning_that_names_it() -> None:
    warnings: list[str] = []
    [zone] = zones_of_features(read_zones(zone_file(feature(BOW_TIE))), warnings.append)
    assert len(warnings) == 1
    assert "zone z" in warnings[0]
    read_shape(zone.geometry)


def test_a_valid_zone_stays_as_found_with_its_rules() -> None:
    found = feature(SQUARE, name="Yard", kind="yard", alert_on=["exit"])
    [zone] = zones_of_features(read_zones(zone_file(found)), pytest.fail)
    assert zone.geometry == found["geometry"]
    assert (zone.name, zone.kind, zone.alert_on) == ("Yard", "yard", ["exit"])


def test_a_zone_that_cannot_be_repaired_is_refused() -> None:
    features = read_zones(zone_file(feature([[13.0, 52.0], [13.1, 52.1]])))
    with pytest.raises(ShapeError):
        zones_of_features(features, pytest.fail)


# A whole run ---------------------------------------------------------------------------------


def odd_trace() -> bytes:
    """Return two devices through SQUARE with a repeat, a late fix, 0,0 and a jump."""
    lines = [
        "a,2026-01-05T10:00:00Z,51.99,13.05",
        "a,2026-01-05T10:01:30Z,52.05,13.05",
        "b,2026-01-05T10:01:30Z,52.02,13.02",
        "a,2026-01-05T10:01:30Z,51.00,13.05",
        "a,2026-01-05T10:02:00Z,0,0",
        "a,2026-01-05T10:01:00Z,52.06,13.06",
        "b,2026-01-05T10:03:00.500Z,51.99,13.02",
        "a,2026-01-05T10:03:00Z,48.00,9.00",
        "a,2026-01-05T10:04:00Z,52.10,13.10",
        "b,2026-01-05T10:04:00Z,51.98,13.02",
        "a,2026-01-05T10:06:00Z,52.15,13.10",
        "a,2026-01-05T10:07:00Z,52.16,13.10",
    ]
    return (HEADER + "".join(f"{line},,,,\n" for line in lines)).encode()


async def sim(
    data_dir: str, *arguments: str | Path, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, dict[str, Any]]:
    fixed = (OPSC, "sim", "--data", data_dir, "--json", "--verify", "--drain-seconds", "60")
    process = await asyncio.create_subprocess_exec(
        *fixed,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={**plain_environment(), **environment},
    )
    output, _ = await process.communicate()
    return await process.wait(), json.loads(output)


def differences(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the run found wrong, in words: a whole result is too long to be shown."""
    found = {what: one["examples"] for what, one in result.get("verify", {}).items()}
    return {what: examples for what, examples in found.items() if examples}


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_a_run_against_a_running_system_comes_out_as_expected(
    installation: Installation, tmp_path: Path
) -> None:
    trace, zones = tmp_path / "trace.csv.gz", tmp_path / "zones.geojson"
    trace.write_bytes(gzip.compress(odd_trace()))
    zones.write_bytes(zone_file(feature(SQUARE, name="Square")))
    data_dir = installation.stack().data_dir
    with fresh_starts():
        code, odd = await sim(data_dir, "--replay", trace, "--zones", zones, "--speed", "500")
    assert (code, odd["verdict"], differences(odd)) == (0, "PASS", {})
    assert odd["verify"]["fixes"]["found"] == 10
    assert odd["verify"]["events"]["found"] == 5  # the late fix amends a visit
    assert odd["verify"]["refused"]["found"] == 2  # 0,0, and one time at two places
    options = ("--trackers", "10", "--rate", "20", "--seconds", "3", "--batch", "7")
    runs = [sim(data_dir, *options, "--format", one) for one in PayloadFormat]
    for code, moving in await asyncio.gather(*runs):
        assert (code, moving["verdict"], differences(moving)) == (0, "PASS", {})
        assert moving["sent"] == moving["verify"]["fixes"]["found"] == 600
        assert moving["verify"]["webhooks"]["found"] > 0


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_every_rule_deadline_edit_and_punch_is_kept_by_a_running_system(
    installation: Installation,
) -> None:
    data_dir = installation.stack().data_dir
    faults = ",".join(f"{name}=0.09" for name in PUNCH_FAULTS)
    crew = ("--employees", "30", "--punch-faults", faults)
    code, result = await sim(data_dir, "--trackers", "12", "--rate", "2", "--seconds", "20", *crew)
    assert (code, result["verdict"], differences(result)) == (0, "PASS", {})
    assert all(found["count"] for found in result["latencies_ms"].values())
    assert result["verify"]["punches"]["found"] > 100
    assert result["verify"]["shifts"]["found"] == 30
    assert result["edits_seen_after_s"]["count"] == 6  # of five edits one takes two steps
    assert result["timers_told_after_s"]["count"] > 0


# A system elsewhere --------------------------------------------------------------------------


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_a_run_elsewhere_is_verified_beside_what_others_have_there(
    installation: Installation, tmp_path: Path
) -> None:
    trace, zones, figures = (tmp_path / name for name in ("trace.csv", "zones.geojson", "run.csv"))
    trace.write_bytes(odd_trace())
    zones.write_bytes(zone_file(feature(SQUARE, name="Square")))
    moving = ("--trackers", "6", "--rate", "4", "--seconds", "8")
    stack = installation.stack()
    data_dir = stack.data_dir
    owner_url = stack.database["opsc_owner"]
    admin = await create_with_admin(owner_url, "Acme", "boss@example.com", "unlimited")
    async with ApiClient(stack.api_url) as client:
        await client.sign_in(*admin)
        key = (await client.post("/v1/api-keys", {"name": "simulator"}))["secret"]
        there = {"OPSC_API_URL": stack.api_url, "OPSC_API_KEY": key}
        there["OPSC_BROKER_URL"] = stack.broker_url
        options = ("--ramp", "4", "--keep", "--out", figures)
        code, first = await sim(data_dir, *moving, *options, environment=there)
        assert (code, first["verdict"], differences(first)) == (0, "PASS", {})
        assert first["sent"] == first["verify"]["fixes"]["found"] < 6 * 4 * 8
        assert first["verify"]["webhooks"]["found"] > 0
        rows = list(csv.DictReader(figures.read_text().splitlines()))
        assert sum(int(row["stored"] or 0) for row in rows) == first["stored"]
        assert await left_in(client) == {"assets": 6, "zones": 20, "webhook-endpoints": 1}

        odd = ("--replay", trace, "--zones", zones, "--speed", "500")
        unreachable = there | {"OPSC_API_URL": stack.api_url.replace("127.0.0.1", "0.0.0.0")}
        code, second = await sim(data_dir, *odd, environment=unreachable)
        not_verified = "webhooks, since the system cannot reach this machine"
        assert second["verdict"] == f"PASS (not verified: {not_verified})", second
        assert code == 0
        assert second["verify"]["fixes"]["found"] == 10
        assert second["verify"]["events"]["found"] == 5
        assert "webhooks" not in second["verify"]

        code, third = await sim(data_dir, *moving, environment=there)
        assert (code, third["good"]) == (1, False)
        assert third["verdict"].startswith("FAIL: POST /v1/zones: 409: ")
        assert await left_in(client) == {"assets": 6, "zones": 20, "webhook-endpoints": 1}


async def left_in(client: ApiClient) -> dict[str, int]:
    places = ("assets", "zones", "webhook-endpoints")
    return {place: await client.total(f"/v1/{place}") for place in places}


# The end of a run ----------------------------------------------------------------------------


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("presses", "options", "code", "last_line"),
    [
        (1, (), 0, "PASS (interrupted)"),
        (2, ("--verify",), 1, "FAIL: stopped before its end (interrupted)"),
    ],
)
async def test_ctrl_c_ends_a_run_which_says_so_and_leaves_nothing(
    installation: Installation, presses: int, options: tuple[str, ...], code: int, last_line: str
) -> None:
    data_dir = installation.stack().data_dir
    before = opsc("org", "list", "--data", data_dir, "--json").stdout
    process = await asyncio.create_subprocess_exec(
        OPSC,
        *("sim", "--data", data_dir, "--seconds", "600", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=plain_environment(),
    )
    assert process.stderr is not None
    told = ""
    for stage in ("sending", "draining")[:presses]:
        while f"stage {stage}" not in told:
            told += (await process.stderr.readline()).decode()
        process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert (process.returncode, output.decode().splitlines()[-1]) == (code, last_line)
    assert opsc("org", "list", "--data", data_dir, "--json").stdout == before
