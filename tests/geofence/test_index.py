"""The index answers as asking every zone would, near misses included."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.index import MAX_TIME_US, MIN_TIME_US, ZoneIndex, ZoneVersion
from geofence.shapes import Circle, Polygonal, signed_distance_m
from tests.geofence.reference import covers_one
from tests.geofence.worlds import SPAN_US, ZONES, zone_histories, zone_sets

SQUARE = Polygonal(shapely.box(0, 0, 1, 1))

# On and beside the lines of the grid: the number itself and its neighbours on either side.
_coordinate = st.integers(0, 18).map(lambda half: half / 2)
_near_miss = st.builds(
    lambda value, toward: float(np.nextafter(value, toward)) if toward else value,
    _coordinate,
    st.sampled_from([None, -10.0, 30.0]),
)
points = st.lists(
    st.tuples(_near_miss, _near_miss, st.integers(0, 1), st.integers(-1, SPAN_US + 2)),
    min_size=1,
    max_size=30,
)


def answers(index: ZoneIndex, where: list[tuple]) -> set[tuple[int, int, int]]:
    lon, lat, organization, time_us = (np.array(column) for column in zip(*where, strict=True))
    row, entry = index.inside(lon, lat, organization, time_us)
    found = list(
        zip(row.tolist(), index.zone_of[entry].tolist(), index.version_of[entry], strict=True)
    )
    assert len(set(found)) == len(found)
    assert sorted(row.tolist()) == row.tolist()
    return {(point, zone, int(version)) for point, zone, version in found}


def brute_force(versions: list[ZoneVersion], where: list[tuple]) -> set[tuple[int, int, int]]:
    return {
        (point, v.zone, v.version)
        for point, (lon, lat, organization, time_us) in enumerate(where)
        for v in versions
        if v.organization == organization
        and v.valid_from_us <= time_us < v.valid_to_us
        and covers_one(v, lon, lat)
    }


@settings(max_examples=300, deadline=None)
@given(versions=zone_sets(), where=points)
def test_the_index_answers_as_asking_every_zone_would(versions, where):
    assert answers(ZoneIndex(versions), where) == brute_force(versions, where)


@settings(max_examples=150, deadline=None)
@given(
    versions=zone_sets(),
    changed=st.integers(0, ZONES - 1).flatmap(zone_histories),
    where=points,
)
def test_a_changed_index_is_as_one_built_anew_and_the_old_one_stays(versions, changed, where):
    old = ZoneIndex(versions)
    new = old.with_changes(changed)
    keys = {(v.zone, v.version) for v in changed}
    kept = [v for v in versions if (v.zone, v.version) not in keys]
    assert answers(new, where) == brute_force([*kept, *changed], where)
    assert answers(old, where) == brute_force(versions, where)


@settings(max_examples=150, deadline=None)
@given(versions=zone_sets(), data=st.data())
def test_boundaries_are_those_of_the_own_organization(versions, data):
    spans = data.draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 45), st.integers(0, 9)), max_size=9)
    )
    organization, after, length = (
        np.array([span[i] for span in spans], np.int64) for i in range(3)
    )
    found = ZoneIndex(versions).boundary_between(organization, after, after + length)
    assert found.tolist() == [
        any(
            after < instant <= after + length
            for v in versions
            if v.organization == organization
            for instant in (v.valid_from_us, v.valid_to_us)
            if MIN_TIME_US < instant < MAX_TIME_US
        )
        for organization, after, length in spans
    ]


def test_organizations_far_apart_in_number_do_not_meet():
    ordinals = [0, 1, 999_999, 1_000_000]
    index = ZoneIndex(
        ZoneVersion(number, 1, organization, Polygonal(shapely.box(8.1, 47.1, 8.3, 47.3)))
        for number, organization in enumerate(ordinals)
    )
    everywhere = [(8.1, 47.3, organization, 0) for organization in [*ordinals, 2, 999_998]]
    assert answers(index, everywhere) == {(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 1)}


@pytest.mark.parametrize("lon", [180.0, -180.0, 179.999, -179.999])
def test_a_circle_over_the_180th_meridian_is_found_from_both_sides(lon):
    index = ZoneIndex([ZoneVersion(0, 1, 0, Circle(180.0, 10.0, 500.0))])
    assert answers(index, [(lon, 10.0, 0, 0)]) == {(0, 0, 1)}


def test_a_circle_over_a_pole_is_found_at_every_longitude():
    index = ZoneIndex([ZoneVersion(0, 1, 0, Circle(0.0, 89.9, 50_000.0))])
    assert len(answers(index, [(float(lon), 89.95, 0, 0) for lon in range(-180, 181, 30)])) == 13


def test_an_empty_index_has_no_answers():
    index = ZoneIndex()
    assert answers(index, [(0.0, 0.0, 0, 0)]) == set()
    assert index.with_changes([ZoneVersion(3, 1, 0, SQUARE)]).zone_of.tolist() == [3]
    zones, times = np.array([3]), np.array([0])
    assert [part.tolist() for part in index.standing(zones, times)] == [[0], [MAX_TIME_US], [False]]


def test_standing_names_the_newest_version_that_has_begun():
    index = ZoneIndex(
        [
            ZoneVersion(5, 1, 0, SQUARE, 10, 20),
            ZoneVersion(5, 2, 0, SQUARE, 20, 30),
            ZoneVersion(7, 1, 0, SQUARE),
        ]
    )
    zones = np.array([5, 5, 5, 5, 7, 6])
    times = np.array([9, 10, 25, 30, 0, 0])
    version, boundary_us, in_force = index.standing(zones, times)
    assert version.tolist() == [0, 1, 2, 2, 1, 0]
    assert boundary_us[:4].tolist() == [MAX_TIME_US, 10, 20, 30]
    assert in_force.tolist() == [False, True, True, False, True, False]


def test_distances_are_those_of_the_named_version():
    small, large = SQUARE, Polygonal(shapely.box(-1, -1, 2, 2))
    index = ZoneIndex([ZoneVersion(2, 1, 0, small, 0, 9), ZoneVersion(2, 2, 0, large, 9)])
    zone, version = np.array([2, 2, 2, 4]), np.array([1, 2, 3, 1])
    lon, lat = np.full(4, 1.5), np.full(4, 0.5)
    found = index.signed_distances_m(zone, version, lon, lat)
    assert found[0] == signed_distance_m(small, [1.5], [0.5])[0] > 0
    assert found[1] == signed_distance_m(large, [1.5], [0.5])[0] < 0
    assert np.isnan(found[2:]).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ((-1, 1, 0, SQUARE), "ordinals from 0"),
        ((0, 1, -1, SQUARE), "ordinals from 0"),
        ((0, 0, 0, SQUARE), "count from 1"),
        ((0, 1, 0, SQUARE, 2, 1), "ends before it begins"),
    ],
)
def test_a_version_that_makes_no_sense_is_refused(values, says):
    with pytest.raises(ValueError, match=says):
        ZoneVersion(*values)


def test_a_version_given_twice_is_refused():
    with pytest.raises(ValueError, match="version 1 of zone 4 is given twice"):
        ZoneIndex([ZoneVersion(4, 1, 0, SQUARE), ZoneVersion(4, 1, 1, SQUARE)])
