"""Traces over zones: every transition as it was worked out independently.

A town of our own (`tests.geofence.town`), and real data from outside the repository (`tests.data`).
Left out of the comparison are zones whose geometry is no valid area, and transitions within a metre
of an edge (the near_edge files), where exact engines may differ.
"""

import gzip
from functools import cache
from pathlib import Path

import pytest
from shapely.geometry import shape

from geofence.model.rules import Gates, Rules
from stack.replay.input.trace_file import TraceFile
from stack.replay.progress import NoView
from stack.replay.run import Replayed, ReplayPlan, transitions_of
from stack.replay.zones import ZoneSet, read_zone_file, zone_set_of
from telemetry.times import format_times
from tests.data import CASES, DATA, needs_data
from tests.geofence import town

PAIRS = (
    ("geolife_people", "world_countries_50m"),
    ("geolife_people", "beijing_districts"),
    ("geolife_people", "us_counties_10m"),
    ("sf_cabs", "sf_tracts_2020"),
    ("sf_cabs", "sf_neighborhoods_311"),
    ("sf_cabs", "us_counties_10m"),
    ("sf_cabs", "world_countries_50m"),
    ("aircraft_special", "world_countries_50m"),
    ("icebergs_small", "world_countries_50m"),
)


@cache
def zones_of(file: Path) -> ZoneSet:
    features = read_zone_file(file)
    return zone_set_of(features, warn=lambda text: None, rules=Rules.raw(), raw=True)


@cache
def invalid_zones_of(file: Path) -> frozenset[str]:
    return frozenset(f.zone_id for f in read_zone_file(file) if not shape(f.geometry).is_valid)


def lines_of(path: Path) -> set[tuple[str, ...]]:
    """Return (device, time, zone, transition) of each line; none where there is no such file."""
    if not path.exists():
        return set()
    with gzip.open(path, "rt") as file:
        next(file)
        return {tuple(line.rstrip("\n").split(",")[:4]) for line in file}


def replayed(trace: TraceFile, zones: ZoneSet) -> set[tuple[str, ...]]:
    plan = ReplayPlan(trace, zones, Gates.open(), now_us=0, raw=True)
    found: set[tuple[str, ...]] = set()
    for rows in transitions_of(plan, Replayed(), NoView()):
        times = format_times(rows.time_us)
        found.update(zip(rows.device_id, times, rows.zone_id, rows.transition, strict=True))
    return found


@pytest.mark.parametrize(
    ("folder", "traces", "zones"),
    [
        pytest.param(CASES, "town", "town", id="town-town"),
        *(pytest.param(DATA, *pair, id="-".join(pair), marks=needs_data) for pair in PAIRS),
    ],
)
def test_a_raw_replay_gives_the_known_transitions(folder, traces, zones):
    pair, zone_file = f"{traces}_{zones}", folder / f"zones_{zones}.geojson.gz"
    left_out = lines_of(folder / f"near_edge_{pair}.csv.gz")
    invalid = invalid_zones_of(zone_file)

    def compared(lines: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
        return {line for line in lines - left_out if line[2] not in invalid}

    truth = compared(lines_of(folder / f"truth_{pair}.csv.gz"))
    trace = TraceFile.of(folder / f"traces_{traces}.csv.gz")
    found = compared(replayed(trace, zones_of(zone_file)))
    missing, extra = sorted(truth - found), sorted(found - truth)
    assert not missing, f"{len(missing)} missing, the first {missing[:5]}"
    assert not extra, f"{len(extra)} extra, the first {extra[:5]}"


@needs_data
def test_every_truth_in_the_folder_is_compared():
    named = {f"truth_{traces}_{zones}.csv.gz" for traces, zones in PAIRS}
    assert {path.name for path in DATA.glob("truth_*.csv.gz")} == named


@pytest.mark.long
def test_the_town_is_what_its_program_writes():
    for name, text in town.files().items():
        assert gzip.decompress((CASES / name).read_bytes()).decode() == text, name
