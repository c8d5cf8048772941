"""The index of single questions, held against looking at every box."""

import math
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.zones.site_index import MAX_WITHIN_M, SiteIndex

GEOD = Geod(ellps="WGS84")
PLACES = [(8.54, 47.37), (180.0, -17.0), (-179.9, 66.0), (0.0, 89.9), (77.0, -90.0), (-180.0, 0.0)]


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
    shift = draw(st.floats(-6, 6))
    turn = draw(st.sampled_from([-360, 0, 0, 360]))
    west = max(-540.0, min(lon + shift + turn, 540.0))
    south = max(-90.0, min(lat + draw(st.floats(-6, 6)), 90.0))
    return (west, south, min(west + width, west + 360), min(south + height, 90.0))


worlds = st.lists(st.lists(boxes(), min_size=1, max_size=3), max_size=12)
places = st.one_of(st.sampled_from(PLACES), st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
radii = st.one_of(st.just(0.0), st.floats(0, 5_000), st.floats(0, MAX_WITHIN_M))


def indexed(world) -> dict[UUID, list]:
    return {UUID(int=number): found for number, found in enumerate(world)}


def reach(lon, lat, within_m) -> tuple[float, float, float]:
    """Return south, north and half the width of a geodesic circle, walked round; half a turn at a
    pole.
    """
    azimuths = np.linspace(0, 360, 721)
    ones = np.ones(len(azimuths))
    lons, lats, _ = GEOD.fwd(lon * ones, lat * ones, azimuths, within_m * ones)
    south, north = min(lats.min(), lat), max(lats.max(), lat)
    if to_pole_m(lon, lat) <= within_m:
        return (south, 90.0, 180.0) if lat > 0 else (-90.0, north, 180.0)
    return south, north, float(np.abs((lons - lon + 180) % 360 - 180).max())


def to_pole_m(lon, lat) -> float:
    return GEOD.inv(lon, lat, lon, math.copysign(90, lat))[2]


def meets(box, lon, ends) -> bool:
    """Return whether a box has a place in the latitudes, and less than half_width east or west of
    lon.
    """
    south, north, half_width = ends
    west, box_south, east, box_north = box
    if box_north < south or box_south > north:
        return False
    beyond_east = (lon - west) % 360 - (east - west)  # how far east of the box
    beyond_west = (west - lon) % 360
    return beyond_east <= half_width or beyond_west <= half_width


@given(world=worlds, place=places, within_m=radii)
def test_it_finds_the_zones_that_looking_at_every_box_finds(world, place, within_m):
    zones, (lon, lat) = indexed(world), place
    found = SiteIndex(zones).near(lon, lat, within_m)
    south, north, half_width = reach(lon, lat, within_m)
    # What the walk round the circle certainly reaches, and what it reaches with two percent more.
    eps = 1e-7
    at_least = (south + eps, north - eps, half_width - eps)
    slack = eps + 0.02 * math.degrees(within_m / 6_335_439)
    free = half_width if to_pole_m(lon, lat) > 2 * within_m + 1 else 180.0
    at_most = (south - slack, north + slack, min(1.05 * free + eps, 180.0))
    must, may = (
        {zone for zone, held in zones.items() if any(meets(box, lon, ends) for box in held)}
        for ends in (at_least, at_most)
    )
    assert must <= found <= may


@given(world=worlds, place=places, share=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_no_zone_is_missed_that_has_a_point_of_its_box_within_the_distance(world, place, share):
    zones = indexed(world)
    index, (x, y) = SiteIndex(zones), place
    for zone, held in zones.items():
        for west, south, east, north in held:
            lon = west + share[0] * (east - west)
            lat = min(south + share[1] * (north - south), north)
            distance_m = GEOD.inv(x, y, lon, lat)[2]
            if distance_m <= MAX_WITHIN_M:
                assert zone in index.near(x, y, distance_m)


@given(
    edits=st.lists(
        st.tuples(st.integers(0, 4), st.none() | st.lists(boxes(), max_size=3)), max_size=30
    ),
    place=places,
    within_m=radii,
)
def test_an_edited_index_answers_as_one_made_anew(edits, place, within_m):
    index, zones = SiteIndex(), {}
    for number, new in edits:
        zone = UUID(int=number)
        if new is None and zone in zones:
            index.remove(zone)
            del zones[zone]
        elif new is not None:
            (index.replace if zone in zones else index.insert)(zone, new)
            zones[zone] = new
    anew = SiteIndex(zones)
    lon, lat = place
    assert index.near(lon, lat, within_m) == anew.near(lon, lat, within_m)
    assert len(index) == len(anew) == len(zones)
    assert all(zone in index for zone in zones)


DATELINE = UUID(int=1)
POLE = UUID(int=2)


@pytest.mark.parametrize("turn", [-360, 0, 360])
@pytest.mark.parametrize(
    ("lon", "within_m", "found"),
    [
        (179.95, 0, True),
        (-179.95, 0, True),
        (180.0, 0, True),
        (-180.0, 0, True),
        (179.85, 0, False),
        (-179.85, 0, False),
        (179.85, 6_000, True),
        (-179.85, 6_000, True),
        (179.85, 5_000, False),  # 0.05 degrees are 5,566 m
        (-179.85, 5_000, False),
        (0.0, 0, False),
    ],
)
def test_a_box_over_the_antimeridian_is_met_from_both_sides(turn, lon, within_m, found):
    index = SiteIndex({DATELINE: [(179.9 + turn, -1.0, 180.1 + turn, 1.0)]})
    assert (DATELINE in index.near(lon, 0.0, within_m)) is found


@pytest.mark.parametrize(
    ("lon", "lat", "within_m", "found"),
    [
        (0.0, 90.0, 0, True),
        (-123.0, 89.5, 0, True),
        (-123.0, 88.9, 0, False),
        (-123.0, 88.9, 11_300, True),
        (-123.0, 88.9, 11_000, False),
        (57.0, -90.0, 1_000_000, False),
    ],
)
def test_a_box_round_a_pole_is_met_from_every_side(lon, lat, within_m, found):
    index = SiteIndex({POLE: [(-180.0, 89.0, 180.0, 90.0)]})
    assert (POLE in index.near(lon, lat, within_m)) is found


def test_beyond_a_pole_the_other_side_is_near():
    index = SiteIndex({POLE: [(170.0, 89.9, 171.0, 89.95)]})
    assert index.near(-10.0, 89.95, 12_000) == {POLE}


def test_an_index_of_nothing_finds_nothing():
    assert SiteIndex().near(8.54, 47.37, 1000) == set()
    assert SiteIndex({POLE: []}).near(8.54, 47.37, 1000) == set()


def test_a_box_that_rounding_makes_wider_than_a_turn_is_still_one():
    index = SiteIndex({POLE: []})
    index.replace(POLE, [(367.4579608670778, 0.0, 727.4579608670779, 1.0)])
    assert index.near(-100.0, 0.5, 0) == {POLE}


def test_edits_of_what_is_not_there_or_is_are_refused():
    index = SiteIndex({POLE: [(0.0, 0.0, 1.0, 1.0)]})
    for edit in (index.remove, lambda zone: index.replace(zone, [])):
        with pytest.raises(KeyError):
            edit(DATELINE)
    with pytest.raises(ValueError, match="already"):
        index.insert(POLE, [])
    with pytest.raises(ValueError, match="a box is"):
        index.replace(POLE, [(0.0, 0.0, 1.0, 1.0), (2.0, 0.0, 1.0, 1.0)])
    assert index.near(0.5, 0.5, 0) == {POLE}


@pytest.mark.parametrize(
    "box",
    [
        (1.0, 0.0, 0.0, 1.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, -91.0, 1.0, 0.0),
        (0.0, 0.0, 1.0, 90.5),
        (-180.0, 0.0, 180.5, 1.0),
        (541.0, 0.0, 542.0, 1.0),
        (math.nan, 0.0, 1.0, 1.0),
        (0.0, 0.0, math.inf, 1.0),
        (0.0, 0.0, 1.0, math.nan),
    ],
)
def test_what_is_no_box_is_refused(box):
    with pytest.raises(ValueError, match="a box is"):
        SiteIndex({POLE: [box]})
    index = SiteIndex()
    with pytest.raises(ValueError, match="a box is"):
        index.insert(POLE, [box])
    assert POLE not in index


@pytest.mark.parametrize(
    ("lon", "lat", "within_m"),
    [(180.5, 0, 1), (0, 91, 1), (math.nan, 0, 1), (0, 0, -1), (0, 0, 1_000_001), (0, 0, math.nan)],
)
def test_a_question_out_of_range_is_refused(lon, lat, within_m):
    with pytest.raises(ValueError, match="must be from"):
        SiteIndex().near(lon, lat, within_m)
