"""Real traces over real zones: every transition as it was worked out independently.

The data lies outside the repository: in $OPSC_TEST_DATA, else ../shared/data beside the checkout.
Left out of the comparison are zones whose geometry is no valid area, and transitions within a metre
of an edge (the near_edge files), where exact engines may differ.
"""

import gzip
import os
from functools import cache
from pathlib import Path

import pytest
from shapely.geometry import shape

from geofence.model.rules import Gates, Rules
from stack.replay.progress import NoView
from stack.replay.run import Replayed, ReplayPlan, transitions_of
from stack.replay.trace_file import TraceFile
from stack.replay.zones import ZoneSet, read_zone_file, zone_set_of
from telemetry.times import format_times

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("OPSC_TEST_DATA", ROOT.parent / "shared" / "data"))

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

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no traces and zones in {DATA}: set OPSC_TEST_DATA to their folder"
)


def trace_of(name: str) -> TraceFile:
    return TraceFile.of(DATA / f"traces_{name}.csv.gz")


@cache
def zones_of(name: str) -> ZoneSet:
    features = read_zone_file(DATA / f"zones_{name}.geojson.gz")
    return zone_set_of(features, warn=lambda text: None, rules=Rules.raw(), raw=True)


@cache
def invalid_zones_of(name: str) -> frozenset[str]:
    features = read_zone_file(DATA / f"zones_{name}.geojson.gz")
    return frozenset(f.zone_id for f in features if not shape(f.geometry).is_valid)


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


@pytest.mark.parametrize(("traces", "zones"), PAIRS)
def test_a_raw_replay_gives_the_known_transitions(traces, zones):
    pair = f"{traces}_{zones}"
    left_out = lines_of(DATA / f"near_edge_{pair}.csv.gz")
    invalid = invalid_zones_of(zones)

    def compared(lines: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
        return {line for line in lines - left_out if line[2] not in invalid}

    truth = compared(lines_of(DATA / f"truth_{pair}.csv.gz"))
    found = compared(replayed(trace_of(traces), zones_of(zones)))
    missing, extra = sorted(truth - found), sorted(found - truth)
    assert not missing, f"{len(missing)} missing, the first {missing[:5]}"
    assert not extra, f"{len(extra)} extra, the first {extra[:5]}"


def test_every_truth_in_the_folder_is_compared():
    named = {f"truth_{traces}_{zones}.csv.gz" for traces, zones in PAIRS}
    assert {path.name for path in DATA.glob("truth_*.csv.gz")} == named
