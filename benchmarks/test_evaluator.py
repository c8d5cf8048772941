"""The evaluator by number of zones and size of batch, and the two trees it could stand on.

    pytest benchmarks/test_evaluator.py

Workload W1 (benchmarks/workload.py). `ns_per_fix` in a result's extra information is the median.
Figures of one run compare with each other; nothing is asserted about time.
"""

from functools import cache
from itertools import cycle
from typing import Any

import numpy as np
import pytest
import rtree
import shapely
from numpy.typing import NDArray

from benchmarks.workload import Plan, rows_in_order_of_sending, tracks, zone_rings
from geofence.evaluator import evaluate
from geofence.index import ZoneIndex, ZoneVersion
from geofence.shapes import Polygonal
from geofence.state import State
from telemetry.fix import FixBatch

FIXES_PER_MESSAGE = 20
FIXES_PER_TRACKER = 40


def plan_of(zones: int) -> Plan:
    """As many zones to a square kilometre whatever their number."""
    return Plan(zones=zones, side_m=142_000.0 * (zones / 10_000) ** 0.5)


@cache
def versions_of(zones: int) -> list[ZoneVersion]:
    rings = zone_rings(plan_of(zones))
    return [
        ZoneVersion(number, 1, 0, Polygonal(shapely.Polygon(ring)))
        for number, ring in enumerate(rings)
    ]


@cache
def fixes_of(zones: int) -> NDArray[np.void]:
    """In order of arrival, each tracker an asset."""
    messages = rows_in_order_of_sending(
        tracks(plan_of(zones), FIXES_PER_TRACKER), FIXES_PER_MESSAGE
    )
    rows = messages.reshape(-1)
    rows["asset"], rows["organization"] = rows["tracker"], 0
    return rows


@pytest.mark.parametrize("size", [1, 100, 10_000, 20_000])
@pytest.mark.parametrize("zones", [100, 10_000])
def test_evaluate(benchmark: Any, zones: int, size: int) -> None:
    index, state = ZoneIndex(versions_of(zones)), State()
    rows = fixes_of(zones)
    for start in range(0, len(rows) // 2, 20_000):  # the way out: all assets are known
        state.apply(evaluate(FixBatch(rows[start : start + 20_000]), state, index, 0).delta)
    back = rows[len(rows) // 2 :]
    batches = cycle(
        FixBatch(back[start : start + size]) for start in range(0, len(back) - size + 1, size)
    )
    evaluation = benchmark(lambda: evaluate(next(batches), state, index, 0))
    assert not evaluation.late.any()
    benchmark.extra_info["ns_per_fix"] = round(benchmark.stats.stats.median / size * 1e9)


@pytest.mark.parametrize("zones", [10_000])
def test_build_an_index(benchmark: Any, zones: int) -> None:
    versions = versions_of(zones)
    assert len(benchmark(lambda: ZoneIndex(versions))) == zones


@pytest.mark.parametrize("zones", [10_000])
def test_edit_one_zone(benchmark: Any, zones: int) -> None:
    versions = versions_of(zones)
    index = ZoneIndex(versions)
    assert len(benchmark(lambda: index.with_changes(versions[:1]))) == zones


@pytest.mark.parametrize("points", [1, 100, 10_000])
@pytest.mark.parametrize("tree", ["shapely", "rtree"])
def test_look_up_boxes(benchmark: Any, tree: str, points: int) -> None:
    rings = zone_rings(plan_of(10_000))
    bounds = np.array([ring.min(axis=0).tolist() + ring.max(axis=0).tolist() for ring in rings])
    rows = fixes_of(10_000)[:points]
    lon, lat = rows["lon"].copy(), rows["lat"].copy()
    look_up = _shapely_tree(bounds) if tree == "shapely" else _rtree(bounds)
    assert benchmark(lambda: look_up(lon, lat)) > 0 or points == 1


def _shapely_tree(bounds: NDArray[np.float64]) -> Any:
    tree = shapely.STRtree(np.asarray(shapely.linestrings(bounds.reshape(-1, 2, 2)), dtype=object))
    return lambda lon, lat: tree.query(shapely.points(lon, lat)).shape[1]


def _rtree(bounds: NDArray[np.float64]) -> Any:
    corners = np.ascontiguousarray(bounds[:, :2]), np.ascontiguousarray(bounds[:, 2:])
    tree = rtree.index.Index((np.arange(len(bounds)), *corners))

    def look_up(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> int:
        points = np.stack((lon, lat), axis=1)
        return len(tree.intersection_v(points, points)[0])

    return look_up
