import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.geometry import latitude_bands
from geofence.geometry.latitude_bands import MAX_ENTRIES_PER_EDGE, slabs_of
from tests.geofence.packed import callable_from_python, ring_rows, star

band_of = callable_from_python(latitude_bands.band_of)

latitudes = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(-90, 90), st.just(float("nan"))),
    min_size=4,
    max_size=60,
).filter(lambda rows: len({row for row in rows if row == row}) > 1)


@given(latitudes, st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_a_point_finds_every_edge_at_its_latitude_in_its_band(lat, shares):
    rows = np.column_stack((np.zeros(len(lat)), lat))
    starts, edges, south, per_deg = slabs_of(rows)
    bands = len(starts) - 1
    low, high = np.nanmin(lat), np.nanmax(lat)
    borders = [south + band / per_deg for band in range(min(bands, 50))]
    asked = [low + share * (high - low) for share in shares] + borders + lat
    for at in (value for value in asked if low <= value <= high):
        band = band_of(at, south, per_deg, bands)
        found = set(edges[starts[band] : starts[band + 1]].tolist())
        lower, upper = np.fmin(lat[:-1], lat[1:]), np.fmax(lat[:-1], lat[1:])
        whole = ~np.isnan(np.diff(lat))
        assert set(np.flatnonzero(whole & (lower <= at) & (at <= upper)).tolist()) <= found


@pytest.mark.parametrize("corners", [3, 70, 5_000])
def test_entries_stay_within_their_bound_and_bands_are_many(corners):
    rows = ring_rows(star(np.random.default_rng(4), corners, holes=2))
    starts, edges, _, _ = slabs_of(rows)
    count = np.count_nonzero(~np.isnan(np.diff(rows[:, 1])))
    assert len(edges) == starts[-1] <= MAX_ENTRIES_PER_EDGE * count
    assert len(edges) > count


def test_an_edge_as_high_as_the_area_does_not_cost_more_than_the_bound():
    comb = [(column / 100, row) for column in range(500) for row in ((0, 1), (1, 0))[column % 2]]
    rows = np.array([*comb, (5.0, -1.0), (0.0, -1.0), comb[0]], dtype=np.float64)
    _, edges, _, _ = slabs_of(rows)
    assert len(edges) <= MAX_ENTRIES_PER_EDGE * (len(rows) - 1)


def test_without_height_there_is_one_band():
    for height in (0.0, 5e-324):
        rows = np.array([(0.0, 1.0), (1.0, 1.0 + height), (0.0, 1.0)])
        starts, edges, _, _ = slabs_of(rows)
        assert (starts.tolist(), edges.tolist()) == ([0, 2], [0, 1])
