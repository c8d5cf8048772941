"""Real ways over real zones: every zone that a segment crosses, as it was worked out independently.

The data lies outside the repository (see test_truth). A way that touches a zone for less than a
metre may be told otherwise by another exact engine: such are left out.
"""

import csv
import gzip
import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import shape

from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.model.rules import Gates, Rules
from geofence.model.transitions import Inferred, Transition
from geofence.shapes.geojson import read_shape
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, blank_rows
from telemetry.times import format_times

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("OPSC_TEST_DATA", ROOT.parent / "shared" / "data"))
CROSSINGS = DATA / "segment_crossings_sf_cabs_sf_tracts_2020.csv.gz"
GAP_S = 600
GRAZING_M = 1.0

pytestmark = pytest.mark.skipif(
    not CROSSINGS.exists(), reason=f"no {CROSSINGS}: set OPSC_TEST_DATA to the folder of traces"
)

Crossing = tuple[str, str, str, str]  # device, time of the fix before, time of the fix, zone


def lines_of(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / name, "rt") as file:
        return list(csv.DictReader(file))


@cache
def known() -> dict[Crossing, float]:
    """Return how many metres of each segment lie in each zone."""
    return {
        (line["device_id"], line["t0"], line["t1"], line["zone_id"]): float(line["len_m"])
        for line in lines_of(CROSSINGS.name)
    }


@cache
def zones() -> dict[str, dict]:
    """Return the geometries of the zones that are valid areas."""
    with gzip.open(DATA / "zones_sf_tracts_2020.geojson.gz", "rt") as file:
        features = json.load(file)["features"]
    return {f["id"]: f["geometry"] for f in features if shape(f["geometry"]).is_valid}


@cache
def trace() -> tuple[list[str], FixBatch]:
    """Return the devices of the known segments, and their fixes; the asset is the
    device's number.
    """
    devices = sorted({device for device, *_ in known()})
    lines = [line for line in lines_of("traces_sf_cabs.csv.gz") if line["device_id"] in devices]
    rows = blank_rows(len(lines))
    rows["asset"] = rows["tracker"] = [devices.index(line["device_id"]) for line in lines]
    rows["organization"] = 0
    stamps = [line["time"].removesuffix("Z") for line in lines]
    rows["time_us"] = np.array(stamps, "datetime64[us]").astype(np.int64)
    for name in ("lat", "lon"):
        rows[name] = [float(line[name]) for line in lines]
    return devices, FixBatch(rows)


def crossed(pass_min_m: float) -> set[Crossing]:
    devices, batch = trace()
    rules = Rules(
        accuracy_clamp_m=0, exit_confirm_fixes=1, max_gap_seconds=GAP_S, pass_min_m=pass_min_m
    )
    index = ZoneIndex(
        ZoneVersion(number, 1, 0, read_shape(geometry), rules=rules)
        for number, geometry in enumerate(zones().values())
    )
    found = evaluate(batch, State(), index, NO_TIMERS_US, Gates.open()).transitions
    passed = (found["inferred"] == Inferred.SEGMENT) & (found["transition"] == Transition.ENTER)
    row, zone = found["row"][passed], found["zone"][passed]
    times = np.array(format_times(batch["time_us"]))
    asset = batch["asset"][row]
    assert (asset == batch["asset"][row - 1]).all()  # the file goes device by device
    ids = np.array(list(zones()))[zone].tolist()
    named = (devices[number] for number in asset.tolist())
    return set(zip(named, times[row - 1].tolist(), times[row].tolist(), ids, strict=True))


@pytest.mark.parametrize("pass_min_m", [0.0, 25.0, 250.0])
def test_every_zone_that_a_segment_crosses_is_passed_through(pass_min_m):
    near = {c for c, length_m in known().items() if abs(length_m - pass_min_m) < GRAZING_M}
    truth = {c for c, length_m in known().items() if length_m >= pass_min_m}
    found = crossed(pass_min_m)
    missing = sorted(c for c in truth - found - near if c[3] in zones())
    extra = sorted(found - truth - near)
    assert not missing, f"{len(missing)} missing, the first {missing[:5]}"
    assert not extra, f"{len(extra)} extra, the first {extra[:5]}"
    assert len(truth & found) > 1_000
