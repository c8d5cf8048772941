"""What stays within bounds: room for what is found, organizations apart, wild numbers."""

import numpy as np
import pytest

from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.judging.state import State
from geofence.shapes.geojson import read_shape
from geofence.shapes.types import Circle
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, blank_rows
from tests.geofence.worlds import S


def one_fix_each(assets: int, time_s: int, lat: float, lon: float | np.ndarray) -> FixBatch:
    """Return a fix of each of the assets 0..assets-1, of organization 0."""
    rows = blank_rows(assets)
    rows["tracker"] = rows["asset"] = np.arange(assets)
    rows["organization"], rows["time_us"] = 0, time_s * S
    rows["lat"], rows["lon"] = lat, lon
    return FixBatch(rows)


def taken(state: State, index: ZoneIndex, batch: FixBatch) -> Evaluation:
    evaluation = evaluate(batch, state, index, NO_TIMERS_US)
    state.apply(evaluation.delta)
    return evaluation


def test_one_batch_heals_the_suspect_fixes_of_any_number_of_assets():
    state, index = State(), ZoneIndex()
    taken(state, index, one_fix_each(50, 1, 40.0, 8.0))
    for time_s in (2, 3):
        assert taken(state, index, one_fix_each(50, time_s, 47.0, 8.0)).suspect.all()
    evaluation = taken(state, index, one_fix_each(50, 4, 47.0, 8.0))
    assert not evaluation.suspect.any()
    healed = [(int(fix["tracker"]), int(fix["time_us"]) // S) for fix in evaluation.healed]
    assert healed == [(tracker, time_s) for tracker in range(50) for time_s in (2, 3)]


@pytest.mark.parametrize("ours", [0, 2])
def test_a_corridor_round_the_globe_and_back_is_no_zone_of_another_organization(ours: int):
    there = [(67.5 * step, 50.0) for step in range(8)]
    back = [(540.0 - 135.0 * step, 90.0 if step == 1 else 50.0) for step in range(9)]
    line = [[(lon + 180) % 360 - 180, lat] for lon, lat in there + back]
    corridor = read_shape({"type": "LineString", "coordinates": line}, width_m=100_000)
    index = ZoneIndex([ZoneVersion(0, 1, 1, corridor)])
    batch = one_fix_each(360, 1, 50.0, np.arange(-180.0, 180.0))
    batch.rows["organization"] = 1
    assert len(evaluate(batch, State(), index, NO_TIMERS_US).transitions) == 360
    batch.rows["organization"] = ours
    assert len(evaluate(batch, State(), index, NO_TIMERS_US).transitions) == 0


@pytest.mark.parametrize("lon", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("lat", [np.nan, np.inf, 47.0])
def test_a_place_that_is_no_place_lies_in_no_zone(lat: float, lon: float):
    index = ZoneIndex([ZoneVersion(zone, 1, 0, Circle(8.0, 47.0, 100.0)) for zone in range(3)])
    assert (
        len(evaluate(one_fix_each(5, 1, lat, lon), State(), index, NO_TIMERS_US).transitions) == 0
    )


def test_an_organization_that_has_its_share_leaves_the_others_theirs():
    index = ZoneIndex([ZoneVersion(zone, 1, zone % 2, Circle(0, 0, 100.0)) for zone in range(40)])
    rows = one_fix_each(20, 2, 0.0, 0.0).rows
    rows["organization"] = rows["asset"] % 2
    rows["lat"][(rows["organization"] == 1) & (rows["asset"] > 1)] = 50.0
    evaluation = evaluate(FixBatch(rows), State(), index, NO_TIMERS_US, most_transitions=60)
    assert np.bincount(evaluation.transitions["organization"]).tolist() == [40, 20]
    assert rows["asset"][evaluation.deferred].tolist() == [4, 6, 8, 10, 12, 14, 16, 18]


@pytest.mark.parametrize(("most", "transitions"), [(None, 20), (1_000, 20), (1, 20), (21, 40)])
def test_of_one_organization_are_no_more_than_its_own_bound(most: int | None, transitions: int):
    index = ZoneIndex([ZoneVersion(zone, 1, 0, Circle(0, 0, 100.0)) for zone in range(20)])
    batch = one_fix_each(10, 2, 0.0, 0.0)
    evaluation = evaluate(
        batch, State(), index, NO_TIMERS_US, most_transitions=most, most_of_each=transitions - 1
    )
    wanted = min(transitions, 20 if most == 1 else transitions)
    assert len(evaluation.transitions) == wanted
