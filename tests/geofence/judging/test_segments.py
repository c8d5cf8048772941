"""Ways over zones: every zone that a segment crosses, as it was worked out independently.

The data is that of test_truth. A way that touches a zone for less than a metre may be told
otherwise by another exact engine: such are left out.
"""

import csv
import gzip
import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

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
from tests.data import CASES, DATA, needs_data

GAP_S = 600
GRAZING_M = 1.0

Crossing = tuple[str, str, str, str]  # device, time of the fix before, time of the fix, zone


class Ways(NamedTuple):
    """Traces over zones by the names of their files.

    pass_min_m: least lengths inside that are tried; at each more than at_least ways cross a zone.
    """

    folder: Path
    traces: str
    zones: str
    pass_min_m: tuple[float, ...]
    at_least: int

    def lines(self, name: str) -> list[dict[str, str]]:
        """Return the lines of a file."""
        with gzip.open(self.folder / f"{name}.csv.gz", "rt") as file:
            return list(csv.DictReader(file))


TOWN = Ways(CASES, "town", "town", (0.0, 25.0, 100.0), 50)
CABS = Ways(DATA, "sf_cabs", "sf_tracts_2020", (0.0, 25.0, 250.0), 1_000)


@cache
def known(ways: Ways) -> dict[Crossing, float]:
    """Return how many metres of each segment lie in each zone."""
    return {
        (line["device_id"], line["t0"], line["t1"], line["zone_id"]): float(line["len_m"])
        for line in ways.lines(f"segment_crossings_{ways.traces}_{ways.zones}")
    }


@cache
def zones(ways: Ways) -> dict[str, dict]:
    """Return the geometries of the zones that are valid areas."""
    with gzip.open(ways.folder / f"zones_{ways.zones}.geojson.gz", "rt") as file:
        features = json.load(file)["features"]
    return {f["id"]: f["geometry"] for f in features if shape(f["geometry"]).is_valid}


@cache
def trace(ways: Ways) -> tuple[list[str], FixBatch]:
    """Return the devices of the known segments, and their fixes; the asset is the
    device's number.
    """
    devices = sorted({device for device, *_ in known(ways)})
    lines = [line for line in ways.lines(f"traces_{ways.traces}") if line["device_id"] in devices]
    rows = blank_rows(len(lines))
    rows["asset"] = rows["tracker"] = [devices.index(line["device_id"]) for line in lines]
    rows["organization"] = 0
    stamps = [line["time"].removesuffix("Z") for line in lines]
    rows["time_us"] = np.array(stamps, "datetime64[us]").astype(np.int64)
    for name in ("lat", "lon"):
        rows[name] = [float(line[name]) for line in lines]
    return devices, FixBatch(rows)


def crossed(ways: Ways, pass_min_m: float) -> set[Crossing]:
    devices, batch = trace(ways)
    rules = Rules(
        accuracy_clamp_m=0, exit_confirm_fixes=1, max_gap_seconds=GAP_S, pass_min_m=pass_min_m
    )
    index = ZoneIndex(
        ZoneVersion(number, 1, 0, read_shape(geometry), rules=rules)
        for number, geometry in enumerate(zones(ways).values())
    )
    found = evaluate(batch, State(), index, NO_TIMERS_US, Gates.open()).transitions
    passed = (found["inferred"] == Inferred.SEGMENT) & (found["transition"] == Transition.ENTER)
    row, zone = found["row"][passed], found["zone"][passed]
    times = np.array(format_times(batch["time_us"]))
    asset = batch["asset"][row]
    assert (asset == batch["asset"][row - 1]).all()  # the file goes device by device
    ids = np.array(list(zones(ways)))[zone].tolist()
    named = (devices[number] for number in asset.tolist())
    return set(zip(named, times[row - 1].tolist(), times[row].tolist(), ids, strict=True))


@pytest.mark.parametrize(
    ("ways", "pass_min_m"),
    [
        *(pytest.param(TOWN, least, id=f"town-{least}") for least in TOWN.pass_min_m),
        *(pytest.param(CABS, least, id=str(least), marks=needs_data) for least in CABS.pass_min_m),
    ],
)
def test_every_zone_that_a_segment_crosses_is_passed_through(ways, pass_min_m):
    near = {c for c, length_m in known(ways).items() if abs(length_m - pass_min_m) < GRAZING_M}
    truth = {c for c, length_m in known(ways).items() if length_m >= pass_min_m}
    found = crossed(ways, pass_min_m)
    missing = sorted(c for c in truth - found - near if c[3] in zones(ways))
    extra = sorted(found - truth - near)
    assert not missing, f"{len(missing)} missing, the first {missing[:5]}"
    assert not extra, f"{len(extra)} extra, the first {extra[:5]}"
    assert len(truth & found) > ways.at_least
