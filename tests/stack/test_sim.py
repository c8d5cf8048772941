"""`opsc sim`: what it refuses, what it makes of files, and a whole run against a running system."""

import asyncio
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device_sim.motion import StreetPlan
from device_sim.payloads import PayloadFormat
from geofence.geojson import ShapeError, read_shape, read_zones
from geofence.shapes import covers
from stack.cli import build
from stack.scenario import moving_scenario, zones_of_features, zones_on_the_way
from stack.system import running_stack
from tests.stack.command import OPSC, opsc, plain_environment

STREETS = StreetPlan(vehicles=10, rate_hz=1, seconds=120, seed=4)
SQUARE = [[13.0, 52.0], [13.1, 52.0], [13.1, 52.1], [13.0, 52.1], [13.0, 52.0]]
BOW_TIE = [[13.0, 52.0], [13.1, 52.1], [13.1, 52.0], [13.0, 52.1], [13.0, 52.0]]
HEADER = "device_id,time,lat,lon,altitude_m,speed_mps,course_deg,accuracy_m\n"


# What is refused -----------------------------------------------------------------------------


def told_of_wrong_usage(*arguments: str) -> str:
    result = CliRunner().invoke(build("sim"), ["sim", *arguments])
    assert result.exit_code == 2
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--replay", "t.csv", "--trackers", "3"], "--replay goes without"),
        (["--speed", "10"], "go with --replay"),
        (["--original-times"], "go with --replay"),
        (["--verify", "--api-url", "http://127.0.0.1:9"], "on this machine only"),
        (["--replay", "nowhere.csv"], "nowhere.csv"),
        (["--zones", "nowhere.geojson"], "nowhere.geojson"),
        (["--trackers", "0"], "equal to 1"),
        (["--format", "xml"], "xml"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(arguments: list[str], told: str) -> None:
    assert told in told_of_wrong_usage(*arguments)


def test_without_a_running_system_it_is_said_how_to_start_one(tmp_path: Path) -> None:
    result = opsc("sim", "--data", tmp_path / "none")
    assert result.returncode == 1
    assert "opsc up" in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", HEADER.encode() + b"a,yesterday,1,2,,,,\n", "line 2"),
        ("t.csv", HEADER.encode(), "no fix"),
        ("t.csv", b"", "empty"),
        ("t.csv.gz", b"no gzip", "zip"),
        ("t.csv.gz", gzip.compress(HEADER.encode() * 99)[:40], "end"),
    ],
)
def test_a_trace_that_cannot_be_read_is_named_with_its_fault(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert told in told_of_wrong_usage("--replay", str(path))


# Scenarios -----------------------------------------------------------------------------------


def feature(ring: list[list[float]], **properties: Any) -> dict[str, Any]:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "id": "z", "properties": properties, "geometry": geometry}


def zone_file(*features: dict[str, Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def test_every_zone_on_the_way_is_valid_and_visited() -> None:
    fixes = list(itertools.chain.from_iterable(part.fixes.rows for part in STREETS.slices(0)))
    zones = zones_on_the_way(STREETS.slices, seed=4)
    assert len(zones) == len({zone.external_id for zone in zones}) == 20
    for zone in zones:
        shape = read_shape(zone.geometry, radius_m=zone.radius_m)
        assert any(covers(shape, [fix["lon"]], [fix["lat"]])[0] for fix in fixes)


def test_the_same_seed_gives_the_same_zones() -> None:
    first, again, other = (zones_on_the_way(STREETS.slices, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


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
    """Two devices through SQUARE with a repeat, a late fix, 0,0 and a jump."""
    lines = [
        "a,2026-01-05T10:00:00Z,51.99,13.05",
        "a,2026-01-05T10:00:10Z,52.05,13.05",
        "b,2026-01-05T10:00:10Z,52.02,13.02",
        "a,2026-01-05T10:00:10Z,51.00,13.05",
        "a,2026-01-05T10:00:20Z,0,0",
        "a,2026-01-05T10:00:05Z,52.06,13.06",
        "b,2026-01-05T10:00:20.500Z,51.50,13.02",
        "a,2026-01-05T10:00:30Z,52.10,13.10",
        "a,2026-01-05T10:00:40Z,48.00,9.00",
    ]
    return (HEADER + "".join(f"{line},,,,\n" for line in lines)).encode()


async def sim(data_dir: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    fixed = (OPSC, "sim", "--data", data_dir, "--json", "--verify", "--drain-seconds", "60")
    process = await asyncio.create_subprocess_exec(
        *fixed, *arguments, stdout=asyncio.subprocess.PIPE, env=plain_environment()
    )
    output, _ = await process.communicate()
    return await process.wait(), json.loads(output)


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_a_run_against_a_running_system_comes_out_as_expected(data_dir: Path) -> None:
    trace = data_dir.with_name("trace.csv.gz")
    trace.write_bytes(gzip.compress(odd_trace()))
    zones = data_dir.with_name("zones.geojson")
    zones.write_bytes(zone_file(feature(SQUARE, name="Square")))
    async with running_stack(data_dir, lambda _text: None, asyncio.Event()):
        code, odd = await sim(data_dir, "--replay", trace, "--zones", zones, "--speed", "100")
        assert (code, odd["good"]) == (0, True), odd
        assert odd["verify"]["fixes"]["found"] == 7
        assert odd["verify"]["events"]["found"] == 4
        for payload_format in PayloadFormat:
            options = ["--trackers", "10", "--rate", "20", "--seconds", "3", "--batch", "7"]
            code, moving = await sim(data_dir, *options, "--format", payload_format)
            assert (code, moving["good"]) == (0, True), moving
            assert moving["sent"] == moving["verify"]["fixes"]["found"] == 600
            assert moving["verify"]["webhooks"]["found"] > 0
