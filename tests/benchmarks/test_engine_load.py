"""What the engine is measured with is what the table says, and its fixes follow in time."""

import json

import numpy as np
import pytest
import shapely

from benchmarks.common.workload import tracks, zone_rings
from benchmarks.engine import report as engine_report
from benchmarks.engine import run as engine
from benchmarks.engine.load import (
    FIXES_PER_TRACKER,
    Journey,
    detailed,
    plan_of,
    share_near,
    tracks_near,
    versions_of,
)
from benchmarks.engine.parts import BATCH, Subject
from geofence.zones.index import ZoneIndex

ZONES = 200


@pytest.mark.parametrize("vertices", [20, 2_000])
def test_a_ring_has_as_many_vertices_as_are_asked_for(vertices: int) -> None:
    ring = zone_rings(plan_of(1))[0]
    area = shapely.Polygon(detailed(ring, vertices))
    assert shapely.get_num_coordinates(area) == vertices + 1
    assert area.is_valid
    assert area.area == pytest.approx(shapely.Polygon(ring).area, rel=0.2)


def test_zones_are_equally_dense_whatever_their_number() -> None:
    few, many = plan_of(100), plan_of(10_000)
    assert few.zones / few.side_m**2 == pytest.approx(many.zones / many.side_m**2)


@pytest.mark.parametrize("wanted", [0.0, 0.1, 0.5])
def test_tracks_are_chosen_by_their_share_near_edges(wanted: float) -> None:
    plan = plan_of(ZONES, trackers=2_000)
    fixes, rings = tracks(plan, FIXES_PER_TRACKER), zone_rings(plan)
    chosen = tracks_near(fixes, share_near(fixes, rings), wanted, 50)
    assert share_near(chosen, rings).mean() == pytest.approx(wanted, abs=0.02)
    assert chosen["tracker"][:, 0].tolist() == list(range(50))


def test_a_journey_goes_on_in_time_and_never_jumps() -> None:
    journey = Journey.of(plan_of(ZONES, trackers=10))
    rows = np.concatenate([journey.next(100).rows for _ in range(12)])
    of_one = rows[rows["tracker"] == 7]
    assert len(of_one) == 3 * FIXES_PER_TRACKER
    assert (np.diff(of_one["time_us"]) > 0).all()
    assert np.abs(np.diff(of_one["lat"])).max() < 0.01


def test_batches_that_do_not_fill_a_journey_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill"):
        Journey.of(plan_of(ZONES, trackers=10)).next(7)


def test_what_is_judged_is_neither_late_nor_suspect() -> None:
    plan = plan_of(ZONES, trackers=BATCH // FIXES_PER_TRACKER)
    subject = Subject(ZoneIndex(versions_of(zone_rings(plan))), Journey.of(plan))
    subject.step(BATCH)
    assert (subject.state.assets["newest_us"][: plan.trackers] > 0).all()
    assert (subject.state.assets["suspects"][: plan.trackers] == 0).all()


def test_goals_and_ratios_speak_of_parts_that_exist() -> None:
    known = {*engine.parts(), "postgis 10000"}
    assert set(engine_report.GOALS) <= known
    assert {name for peer, ours, _ in engine_report.RATIOS for name in (peer, ours)} <= known


def test_the_result_file_holds_figures_and_ratios_of_each_round() -> None:
    rounds = [
        {"rtree 100": 9_000.0, "judge 100": 300.0},
        {"rtree 100": 8_000.0, "judge 100": 200.0},
    ]
    units = dict.fromkeys(rounds[0], "ns/fix")
    result = json.loads(json.dumps(engine_report.result(rounds, units, {"commit": "abc"})))
    assert result["commit"] == "abc"
    assert result["parts"]["judge 100"]["values"] == [300.0, 200.0]
    [ratio] = result["ratios"]
    assert ratio["values"] == [30.0, 40.0]
    assert ratio["goal"] == 30.0
