"""The index of job sites beside a look at every box, and its distances beside geodesics."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.zones.site_index import (
    EVERYWHERE,
    SiteBox,
    SiteIndex,
    SitePlace,
    box_distances_m,
    margins_m,
    ranked,
)

GEOD = Geod(ellps="WGS84")
STEPS = 60
PLACES = [(8.54, 47.37), (180.0, -17.0), (-179.9, 66.0), (0.0, 89.9), (77.0, -90.0), (-180.0, 0.0)]
FOREVER_US = 2**63 - 1


@st.composite
def boxes(draw):
    """Draw boxes of every size and in every turn; many of them small and near the
    places asked for.
    """
    lon, lat = draw(
        st.one_of(st.sampled_from(PLACES), st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
    )
    size = st.one_of(st.floats(0, 0.1), st.floats(0, 20), st.just(360.0))
    width, height = draw(size), draw(st.floats(0, 5))
    shift = draw(st.one_of(st.floats(-0.05, 0.05), st.floats(-6, 6)))
    turn = draw(st.sampled_from([-360, 0, 0, 360]))
    west = max(-540.0, min(lon + shift + turn, 540.0))
    south = max(-90.0, min(lat + draw(st.floats(-6, 6)), 90.0))
    return (west, south, min(west + width, west + 360), min(south + height, 90.0))


@st.composite
def sites(draw):
    """Draw versions; several are in force at times from 0 to 10."""
    from_us = draw(st.integers(0, 6))
    return SiteBox(
        UUID(int=draw(st.integers(0, 30))),
        draw(st.integers(1, 3)),
        from_us,
        draw(st.one_of(st.just(FOREVER_US), st.integers(from_us, 10))),
        draw(boxes()),
        draw(st.sampled_from([None, None, 0.0, 50.0, 20_000.0])),
        100,
    )


worlds = st.lists(sites(), max_size=40, unique_by=lambda site: site.zone_id)
points = st.one_of(st.sampled_from(PLACES), st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
places = st.builds(
    lambda point, at_us, default_m: SitePlace(*point, at_us, default_m),
    points,
    st.integers(0, 10),
    st.sampled_from([0.0, 300.0]),
)


def by_looking_at_all(world, place: SitePlace, most: int) -> list[SiteBox]:
    return ranked([s for s in world if s.from_us <= place.at_us < s.to_us], place)[:most]


@given(world=worlds, place=places, most=st.integers(1, 8))
def test_the_best_sites_are_those_of_looking_at_every_box(world, place, most):
    assert SiteIndex(world).best(place, most) == by_looking_at_all(world, place, most)


@given(
    start=worlds,
    edits=st.lists(st.one_of(sites(), st.tuples(st.integers(0, 30), st.integers(1, 3)))),
    place=places,
)
def test_an_edited_index_answers_as_one_made_anew(start, edits, place):
    index, zones = SiteIndex(start), {site.zone_id: site for site in start}
    for edit in edits:
        if isinstance(edit, SiteBox):
            index.put(edit)
            zones[edit.zone_id] = edit
            continue
        zone_id, version = UUID(int=edit[0]), edit[1]
        index.remove(zone_id, version)
        if zone_id in zones and zones[zone_id].version == version:
            del zones[zone_id]
    assert index.best(place, 8) == by_looking_at_all(zones.values(), place, 8)
    assert len(index) == len(zones)


def site(number: int, box, tolerance_m: float | None = None, from_us: int = 0) -> SiteBox:
    return SiteBox(UUID(int=number), 1, from_us, FOREVER_US, box, tolerance_m, 100)


@pytest.mark.parametrize("turn", [-360, 0, 360])
@pytest.mark.parametrize("lon", [179.95, -179.95, 180.0, -180.0])
def test_a_box_over_the_antimeridian_is_near_from_both_sides(turn, lon):
    over = site(1, (179.9 + turn, -1.0, 180.1 + turn, 1.0))
    others = [site(number, (175.0, -1.0, 175.0 + number / 100, 1.0)) for number in range(2, 20)]
    assert SiteIndex([over, *others]).best(SitePlace(lon, 0.0, 0), 1) == [over]


def test_a_place_at_a_pole_is_near_every_longitude():
    world = [site(number, (number * 18.0, 89.9, number * 18.0 + 1, 89.95)) for number in range(20)]
    place = SitePlace(-10.0, 90.0, 0)
    assert len({round(m) for m in margins_m(world, place).tolist()}) == 1
    assert SiteIndex(world).best(place, 8) == by_looking_at_all(world, place, 8)


def test_a_wide_tolerance_makes_a_far_site_the_best():
    near = [
        site(number, (8.0 + number / 1e4, 47.0, 8.0 + number / 1e4, 47.0)) for number in range(50)
    ]
    far = site(99, (8.2, 47.0, 8.2, 47.0), tolerance_m=20_000.0)
    assert SiteIndex([*near, far]).best(SitePlace(8.0, 47.0, 0), 1) == [far]


def test_sites_that_are_not_yet_in_force_hide_none_that_is():
    later = [site(number, (8.0, 47.0, 8.1, 47.1), from_us=5) for number in range(500)]
    now = site(999, (9.0, 47.0, 9.1, 47.1))
    assert SiteIndex([*later, now]).best(SitePlace(8.05, 47.05, 0), 8) == [now]


def test_an_index_of_nothing_finds_nothing():
    index = SiteIndex()
    assert index.best(SitePlace(8.54, 47.37, 0), 8) == []
    index.put(site(1, EVERYWHERE))
    index.remove(UUID(int=1))
    index.remove(UUID(int=2))
    assert index.best(SitePlace(8.54, 47.37, 0), 8) == []


@pytest.mark.parametrize(
    "box", [(1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 1.0, 0.0), (0.0, 0.0, 361.0, 1.0)]
)
def test_what_is_no_box_is_looked_at_wherever_the_place_is(box):
    odd = site(1, box)
    assert SiteIndex([odd]).best(SitePlace(-120.0, -60.0, 0), 8) == [odd]


@given(
    lon=st.sampled_from([8.54, 179.99, -180.0]),
    lat=st.floats(-75, 75),
    west=st.floats(-1, 1),
    south=st.floats(-1, 1),
    width=st.floats(0.001, 1),
    height=st.floats(0.001, 1),
    turn=st.sampled_from([-360, 0, 360]),
)
def test_the_distance_is_about_the_geodesic_to_the_nearest_place(
    lon, lat, west, south, width, height, turn
):
    west, south = lon + west, lat + south
    box = [west + turn, south, west + turn + width, south + height]
    (found_m,) = box_distances_m(np.array([box]), lon, lat)
    is_inside = west <= lon <= west + width and south <= lat <= south + height
    assert (found_m == 0) == is_inside or found_m < 0.01
    if is_inside:
        return
    lons, lats = np.meshgrid(
        np.linspace(west, west + width, STEPS), np.linspace(south, south + height, STEPS)
    )
    places = lons.ravel(), lats.ravel()
    ones = np.ones(STEPS * STEPS)
    nearest_m = GEOD.inv(lon * ones, lat * ones, *places)[2].min()
    step_m = max(width, height) / STEPS * 112_000
    assert found_m <= nearest_m * 1.02 + 1
    assert found_m >= nearest_m * 0.9 - step_m


@pytest.mark.parametrize("lon", [8.0, 180.0, -180.0, -171.5])
def test_a_box_round_the_globe_holds_every_longitude(lon):
    boxes = np.array([[-180.0, 60, 180, 90], [0, 60, 360, 90], [-540, 60, -180, 90]])
    assert box_distances_m(boxes, lon, 89.0).tolist() == [0, 0, 0]


def test_nearer_boxes_are_told_from_farther_ones_over_the_180th_meridian():
    boxes = np.array([[168.0, 0, 169, 1], [179.0, 0, 181, 1], [-170, 0, -169, 1]])
    assert np.argsort(box_distances_m(boxes, -179.5, 0.5)).tolist() == [1, 2, 0]
