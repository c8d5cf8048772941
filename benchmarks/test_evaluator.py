"""The evaluator by number of zones and size of batch, and the two trees it could stand on.

    pytest --benchmark-enable benchmarks/test_evaluator.py

Workload W1 (benchmarks/common/workload.py). `ns_per_fix` in a result's extra information is the
median. Figures of one run compare with each other; nothing is asserted about time.
`benchmarks.engine.run` is the whole table.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
import rtree
import shapely
from numpy.typing import NDArray

from benchmarks.common.workload import START_US, zone_rings
from benchmarks.engine.load import Journey, plan_of, versions_of
from benchmarks.engine.parts import Subject
from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch


@cache
def versions(zones: int) -> list[ZoneVersion]:
    return versions_of(zone_rings(plan_of(zones)))


@pytest.mark.parametrize("size", [1, 100, 1_000, 10_000, 20_000])
@pytest.mark.parametrize("zones", [100, 10_000])
def test_evaluate(benchmark: Any, zones: int, size: int) -> None:
    subject = Subject(ZoneIndex(versions(zones)), Journey.of(plan_of(zones)))
    evaluations: list[Evaluation] = []

    def next_batch() -> tuple[tuple[FixBatch], dict[str, Any]]:
        if evaluations:
            subject.state.apply(evaluations.pop().delta)
        return (subject.journey.next(size),), {}

    def judge(batch: FixBatch) -> Evaluation:
        evaluation = evaluate(batch, subject.state, subject.index, NO_TIMERS_US)
        evaluations.append(evaluation)
        return evaluation

    evaluation = benchmark.pedantic(judge, setup=next_batch, rounds=max(20, 2_000 // size))
    assert not evaluation.late.any()
    assert not evaluation.suspect.any()
    if benchmark.stats is not None:  # None with --benchmark-disable
        benchmark.extra_info["ns_per_fix"] = round(benchmark.stats.stats.median / size * 1e9)


@pytest.mark.parametrize("zones", [10_000])
def test_build_an_index(benchmark: Any, zones: int) -> None:
    given = versions(zones)
    assert len(benchmark(lambda: ZoneIndex(given))) == zones


@pytest.mark.parametrize("zones", [10_000])
def test_edit_one_zone(benchmark: Any, zones: int) -> None:
    given = versions(zones)
    index = ZoneIndex(given)
    edited = ZoneVersion(0, 2, 0, given[1].shape, valid_from_us=START_US)
    assert len(benchmark(lambda: index.with_changes([edited]))) == zones + 1


@pytest.mark.parametrize("points", [1, 100, 10_000])
@pytest.mark.parametrize("tree", ["shapely", "rtree"])
def test_look_up_boxes(benchmark: Any, tree: str, points: int) -> None:
    rings = zone_rings(plan_of(10_000))
    bounds = np.array([ring.min(axis=0).tolist() + ring.max(axis=0).tolist() for ring in rings])
    rows = Journey.of(plan_of(10_000)).next(10_000).rows[:points]
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
