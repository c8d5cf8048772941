"""Trips and stops by day: days whose answer is known, and what holds for all of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.trips.days import DayFigures, by_day
from geofence.trips.history import Stop, Trip, trips_and_stops
from geofence.trips.track import Track, TripRules
from tests.geofence.trips.test_history import Way

RULES = TripRules()
HOUR_S = 3600


def figures(track: Track, *edges_s: float) -> list[DayFigures]:
    edges_us = [round(edge_s * 1_000_000) for edge_s in edges_s]
    return by_day(track, trips_and_stops(track, RULES), edges_us, RULES)


def test_a_trip_across_midnight_is_split() -> None:
    # Midnight is 200 s into a trip of 1,000 s at 15 m/s.
    track = Way().stay(1_800).drive(15_000).stay(3_600).track()
    evening, night = figures(track, 0, 2_000, 10_000)
    assert (evening.trips, evening.stops, night.trips, night.stops) == (1, 1, 0, 1)
    # The trip begins with the last fix of the stop, which may lie in its radius.
    (trip,) = (one for one in trips_and_stops(track, RULES) if isinstance(one, Trip))
    began_s, ended_s = track.time_us[[trip.first, trip.last]] / 1_000_000
    assert (evening.driving_s, night.driving_s) == (2_000 - began_s, ended_s - 2_000)
    assert evening.distance_m == pytest.approx(15 * (1_990 - began_s), rel=0.01)
    assert evening.distance_m + night.distance_m == pytest.approx(trip.distance_m)
    assert (evening.departed_us, night.departed_us) == (began_s * 1_000_000, None)
    assert (evening.arrived_us, night.arrived_us) == (0, ended_s * 1_000_000)
    assert (evening.first_fix_us, evening.last_fix_us) == (0, 1_990_000_000)
    assert night.first_fix_us == 2_000_000_000


def test_a_night_without_a_fix_is_spent_at_a_stop() -> None:
    track = Way().stay(1_800).unseen(20 * HOUR_S).stay(1_800).track()
    days = figures(track, 0, 2 * HOUR_S, 12 * HOUR_S, 20 * HOUR_S)
    assert [day.fixes for day in days] == [180, 0, 0]
    assert [day.stopped_s for day in days] == [2 * HOUR_S, 10 * HOUR_S, 8 * HOUR_S]
    assert [day.stops for day in days] == [1, 0, 0]
    assert all(day.has_any for day in days)
    assert days[1].first_fix_us is None


def test_idling_across_midnight_is_split_and_unknown_where_it_is_not_sent() -> None:
    track = Way().turned(1).stay(1_200).turned(0).stay(1_200).track()
    first, second = figures(track, 0, 800, 5_000)
    assert (first.idle_s, second.idle_s) == (800, 400)
    assert (first.stopped_s, second.stopped_s) == (800, 1_590)
    (unknown,) = figures(Way().stay(1_200).track(), 0, 5_000)
    assert unknown.idle_s is None


def test_a_day_of_which_nothing_is_known() -> None:
    track = Way().stay(1_800).track()
    assert [day.has_any for day in figures(track, -100, 0, 1_000, 1_791, 9_000)] == [
        *(False, True, True, False)
    ]


def test_the_top_speed_of_a_day_is_that_of_its_own_fixes() -> None:
    track = Way().stay(600).drive(15_000).stay(600).track(speed_mps=5)
    track.speed_mps[track.time_us == 700_000_000] = 30.0
    before, after = figures(track, 0, 800, 5_000)
    assert (before.top_speed_mps, after.top_speed_mps) == (30, 5)


_PARTS = st.lists(
    st.tuples(
        st.sampled_from(("stay", "drive", "unseen")),
        st.integers(1, 40),
        st.sampled_from((-1, 0, 1)),
    ),
    min_size=1,
    max_size=12,
)


@given(_PARTS, st.lists(st.integers(0, 30_000), min_size=2, max_size=6, unique=True))
def test_days_add_up_to_the_trips_and_stops(
    parts: list[tuple[str, int, int]], inner_s: list[int]
) -> None:
    way = Way()
    for kind, size, ignition in parts:
        way.turned(ignition)
        match kind:
            case "stay":
                way.stay(60.0 * size)
            case "drive":
                way.drive(300.0 * size)
            case _:
                way.unseen(90.0 * size, 200.0 * size)
    if not way.rows:
        return
    track = way.track()
    found = trips_and_stops(track, RULES)
    edges_s = [-1, *sorted(inner_s), 10_000_000]
    days = figures(track, *edges_s)
    trips = [one for one in found if isinstance(one, Trip)]
    stops = [one for one in found if isinstance(one, Stop)]

    def lasted_s(some: list[Trip] | list[Stop]) -> float:
        return sum(float(np.diff(track.time_us[[one.first, one.last]])[0]) for one in some) / 1e6

    assert sum(day.fixes for day in days) == len(track)
    assert sum(day.trips for day in days) == len(trips)
    assert sum(day.stops for day in days) == len(stops)
    assert sum(day.driving_s for day in days) == pytest.approx(lasted_s(trips))
    assert sum(day.stopped_s for day in days) == pytest.approx(lasted_s(stops))
    distance_m = sum(one.distance_m for one in trips)
    assert sum(day.distance_m for day in days) == pytest.approx(distance_m)
    assert sum(day.idle_s or 0 for day in days) == pytest.approx(
        sum(one.idle_s or 0 for one in stops)
    )
    # A day is the same whichever others are asked for.
    for (begin_s, end_s), day in zip(pairwise(edges_s), days, strict=True):
        assert figures(track, begin_s, end_s) == [day]
