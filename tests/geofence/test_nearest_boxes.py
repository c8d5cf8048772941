"""Distances to boxes, held against the geodesics to many places of each box."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.zones.nearest_boxes import box_distances_m

GEOD = Geod(ellps="WGS84")
STEPS = 60


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
    boxes = np.array([[170.0, 0, 171, 1], [179.0, 0, 181, 1], [-170, 0, -169, 1]])
    assert np.argsort(box_distances_m(boxes, -179.5, 0.5)).tolist() == [1, 2, 0]
