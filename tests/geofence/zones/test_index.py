"""The index answers as asking every zone would, near misses included, however it came about."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from geofence.geometry.queries import covers, signed_distance_m
from geofence.judging.lookup import inside, signed_distances_m
from geofence.model.rules import Rules
from geofence.shapes.types import Circle, Corridor, Polygonal
from geofence.zones.index import MAX_TIME_US, MIN_TIME_US, ZoneIndex, ZoneVersion
from geofence.zones.versions import ALL_ASSETS, FILTER_DTYPE, RULE_COLUMNS
from tests.geofence.plane import UnsureError, covers_one
from tests.geofence.worlds import ASSETS, SPAN_S, S, filter_rows, places, zone_sets

SQUARE = Polygonal(shapely.box(0, 0, 1, 1))

asked = st.lists(
    st.tuples(places, st.integers(0, 1), st.integers(-1, SPAN_S + 2), st.integers(0, ASSETS - 1)),
    min_size=1,
    max_size=30,
)


def answers(index: ZoneIndex, where: list[tuple]) -> set[tuple[int, int, int]]:
    """(number of the question, zone, version)."""
    at, organization, time_s, asset = zip(*where, strict=True)
    lon, lat = np.array(at, np.float64).T.copy()
    time_us = np.array(time_s, np.int64) * S
    row, entry = inside(index, lon, lat, np.array(organization), time_us, np.array(asset))
    zone, version = index.zone_of[entry].tolist(), index.version_of[entry].tolist()
    found = list(zip(row.tolist(), zone, version, strict=True))
    assert len(set(found)) == len(found)
    assert sorted(row.tolist()) == row.tolist()
    return set(found)


def brute_force(versions, filters, where) -> set[tuple[int, int, int]]:
    def in_force(v: ZoneVersion, organization: int, at_us: int, asset: int) -> bool:
        later = [o for o in versions if o.zone == v.zone and o.version > v.version]
        if v.organization != organization or not v.valid_from_us <= at_us < v.valid_to_us:
            return False
        if any(o.valid_from_us <= at_us for o in later):
            return False
        return v.assets == ALL_ASSETS or any(
            (row["filter"], row["asset"]) == (v.assets, asset)
            and row["from_us"] <= at_us < row["to_us"]
            for row in filters
        )

    try:
        return {
            (number, v.zone, v.version)
            for number, ((lon, lat), organization, time_s, asset) in enumerate(where)
            for v in versions
            if in_force(v, organization, time_s * S, asset) and covers_one(v.shape, lon, lat)
        }
    except UnsureError:
        assume(False)


@given(versions=zone_sets(), filters=filter_rows(), where=asked)
def test_the_index_answers_as_asking_every_zone_would(versions, filters, where):
    index = ZoneIndex(versions).with_filters(filters)
    assert answers(index, where) == brute_force(versions, filters, where)


@given(versions=zone_sets(), filters=filter_rows(), where=asked, data=st.data())
def test_an_index_edited_bit_by_bit_is_as_one_built_at_once(versions, filters, where, data):
    index, known = ZoneIndex(), []
    for version in sorted(versions, key=lambda v: v.valid_from_us):
        if data.draw(st.booleans()):
            index = index.with_changes([replace(version, valid_to_us=MAX_TIME_US)])
        index = index.with_changes([version])
        known.append(version)
        if data.draw(st.booleans()):
            index = index.with_filters(filters[: data.draw(st.integers(0, len(filters)))])
        assert len(index) == len(known)
    index = index.with_filters(filters)
    assert answers(index, where) == answers(ZoneIndex(versions).with_filters(filters), where)
    organizations = {v.organization for v in versions}
    for after_s in range(-1, SPAN_S, 7):
        found = index.organizations_with_marks(after_s * S, (after_s + 7) * S).tolist()
        assert found == [o for o in sorted(organizations) if _marked(o, versions, filters, after_s)]


def _marked(organization: int, versions, filters, after_s: int) -> bool:
    instants = [
        t
        for v in versions
        if v.organization == organization
        for t in (v.valid_from_us, v.valid_to_us)
    ]
    rows = [row for row in filters if row["organization"] == organization]
    instants += [int(t) for row in rows for t in (row["from_us"], row["to_us"])]
    return any(after_s * S < t <= (after_s + 7) * S for t in instants)


@given(versions=zone_sets(), one=zone_sets(), other=zone_sets(), where=asked)
def test_two_indexes_that_grow_out_of_one_know_nothing_of_each_other(versions, one, other, where):
    def renumbered(more: list[ZoneVersion], by: int) -> list[ZoneVersion]:
        return [replace(v, zone=v.zone + by) for v in more]

    trunk = ZoneIndex(versions)
    left, right = renumbered(one, 100), renumbered(other, 200)
    fork, second = trunk.with_changes(left), trunk.with_changes(right)
    none = np.empty(0, FILTER_DTYPE)
    assert answers(trunk, where) == brute_force(versions, none, where)
    assert answers(fork, where) == brute_force([*versions, *left], none, where)
    assert answers(second, where) == brute_force([*versions, *right], none, where)


def test_a_version_ends_in_the_new_index_and_goes_on_in_the_old():
    old = ZoneIndex([ZoneVersion(3, 1, 0, SQUARE)])
    new = old.with_changes([ZoneVersion(3, 1, 0, SQUARE, valid_to_us=5 * S)])
    where = [((0.5, 0.5), 0, 7, 0), ((0.5, 0.5), 0, 4, 0)]
    assert answers(old, where) == {(0, 3, 1), (1, 3, 1)}
    assert answers(new, where) == {(1, 3, 1)}


def test_an_older_version_does_not_come_after_a_newer_one():
    index = ZoneIndex([ZoneVersion(3, 2, 0, SQUARE, valid_from_us=10)])
    with pytest.raises(ValueError, match="begins before an older version"):
        index.with_changes([ZoneVersion(3, 3, 0, SQUARE, valid_from_us=9)])


def everywhere(*at: tuple[float, float], organization: int = 0) -> list[tuple]:
    return [(place, organization, 0, 0) for place in at]


def test_organizations_far_apart_in_number_do_not_meet():
    ordinals = [0, 1, 999_999, 1_000_000]
    box = Polygonal(shapely.box(8.1, 47.1, 8.3, 47.3))
    index = ZoneIndex(ZoneVersion(number, 1, o, box) for number, o in enumerate(ordinals))
    where = [((8.1, 47.3), organization, 0, 0) for organization in [*ordinals, 2, 999_998]]
    assert answers(index, where) == {(0, 0, 1), (1, 1, 1), (2, 2, 1), (3, 3, 1)}


OVER_THE_SEAM = [
    Circle(180.0, 10.0, 500.0),
    Circle(-180.0, 10.0, 500.0),
    Polygonal(shapely.box(179.99, 9.9, 180.01, 10.1)),
    Polygonal(shapely.box(-180.01, 9.9, -179.99, 10.1)),
    Corridor(np.array([[179.0, 10.0], [181.0, 10.0]]), 400.0),
]


@pytest.mark.parametrize("shape", OVER_THE_SEAM)
def test_a_zone_over_the_180th_meridian_is_found_from_both_sides(shape):
    index = ZoneIndex([ZoneVersion(0, 1, 0, shape)])
    where = everywhere(*((lon, 10.0) for lon in (180.0, -180.0, 179.999, -179.999, 0.0)))
    assert answers(index, where) == {(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1)}


def test_a_circle_over_a_pole_is_found_at_every_longitude():
    index = ZoneIndex([ZoneVersion(0, 1, 0, Circle(0.0, 89.9, 50_000.0))])
    where = everywhere(*((float(lon), 89.95) for lon in range(-180, 181, 30)))
    assert len(answers(index, where)) == 13


def mixed_shapes(rng: np.random.Generator, n: int) -> list:
    lon, lat = rng.uniform(-180, 180, n), rng.uniform(-89.99, 89.99, n)
    size = 10 ** rng.uniform(-2, 1.2, n)
    shapes = []
    for number, (x, y, reach) in enumerate(zip(lon.tolist(), lat.tolist(), size, strict=True)):
        if number % 3 == 0:
            shapes.append(Circle(x, y, min(1e6, float(reach) * 111_000)))
        elif number % 3 == 1:
            far = x + reach * rng.uniform(-1, 1, 3)
            line = np.column_stack((far, np.clip(y + reach * rng.uniform(-1, 1, 3), -89, 89)))
            shapes.append(Corridor(line, float(reach) * 5_000))
        else:
            shapes.append(Polygonal(shapely.box(x, max(-90, y - reach), x + reach, y)))
    return shapes


def test_all_kinds_of_shapes_all_over_the_globe_are_found_as_one_by_one():
    rng = np.random.default_rng(11)
    shapes = mixed_shapes(rng, 400)
    index = ZoneIndex(ZoneVersion(number, 1, 0, s) for number, s in enumerate(shapes))
    lon, lat = rng.uniform(-180, 180, 3_000), rng.uniform(-90, 90, 3_000)
    lon[:40], lat[40:60], lat[60:80] = rng.choice([-180.0, 180.0], 40), 90.0, -90.0
    found = answers(index, everywhere(*zip(lon.tolist(), lat.tolist(), strict=True)))
    each = [np.flatnonzero(covers(shape, lon, lat)).tolist() for shape in shapes]
    truth = {(row, zone, 1) for zone, rows in enumerate(each) for row in rows}
    assert found == truth
    assert len(truth) > 500


def test_a_hundred_thousand_zones_answer_as_the_nearest_ones_do():
    side = 317  # a grid of squares whose neighbours share an edge
    corner = np.arange(side) / 128.0
    versions = [
        ZoneVersion(k, 1, 0, Polygonal(shapely.box(x, y, x + 1 / 128, y + 1 / 128)))
        for k, (x, y) in enumerate((float(x), float(y)) for x in corner for y in corner)
    ]
    index = ZoneIndex(versions)
    ask = [((3 / 128, 5 / 128), 0, 0, 0), ((3.5 / 128, 5.5 / 128), 0, 0, 0)]
    around = {side * x + y for x in (2, 3) for y in (4, 5)}
    assert answers(index, ask) == {(0, zone, 1) for zone in around} | {(1, 3 * side + 5, 1)}
    gone = replace(versions[3 * side + 5], valid_to_us=MIN_TIME_US)
    assert answers(index.with_changes([gone]), ask[1:]) == set()


def test_an_empty_index_has_no_answers():
    index = ZoneIndex()
    assert answers(index, everywhere((0.0, 0.0))) == set()
    assert index.with_changes([ZoneVersion(3, 1, 0, SQUARE)]).zone_of.tolist() == [3]


def test_distances_are_those_of_the_named_version():
    small, large = SQUARE, Polygonal(shapely.box(-1, -1, 2, 2))
    index = ZoneIndex([ZoneVersion(2, 1, 0, small, 0, 9), ZoneVersion(2, 2, 0, large, 9)])
    zone, version = np.array([2, 2, 2, 4]), np.array([1, 2, 3, 1])
    lon, lat = np.full(4, 1.5), np.full(4, 0.5)
    found = signed_distances_m(index, zone, version, lon, lat)
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


def test_versions_that_get_other_rules_are_as_if_they_had_been_given_with_them():
    versions = [
        ZoneVersion(0, 1, 0, SQUARE, valid_to_us=5),
        ZoneVersion(0, 2, 0, SQUARE, valid_from_us=5),
        ZoneVersion(1, 1, 0, SQUARE, rules=Rules(max_gap_seconds=30)),
    ]
    given = {(0, 1): Rules(exit_buffer_m=7), (0, 2): Rules(max_gap_seconds=900, speed_limit_mps=9)}
    before = ZoneIndex(versions)
    kept = before.arrays.entry.copy()
    after = before.with_rules(given)
    wanted = ZoneIndex(replace(v, rules=given.get((v.zone, v.version), v.rules)) for v in versions)
    for name in RULE_COLUMNS:
        assert after.arrays.entry[name].tolist() == wanted.arrays.entry[name].tolist()
    assert after.arrays.max_gap_us == wanted.arrays.max_gap_us == 900_000_000
    assert before.arrays.entry.tobytes() == kept.tobytes()
    assert answers(after, [((0.5, 0.5), 0, 1, 0)]) == {(0, 0, 2), (0, 1, 1)}


@pytest.mark.parametrize(
    ("time_us", "version"), [(-1, 1), (0, 1), (9, 1), (10, 2), (19, 2), (20, 3)]
)
def test_the_version_of_an_instant_is_the_last_that_began(time_us, version):
    index = ZoneIndex(ZoneVersion(0, n, 0, SQUARE, valid_from_us=10 * (n - 1)) for n in (1, 2, 3))
    assert index.version_at(0, time_us) == version
