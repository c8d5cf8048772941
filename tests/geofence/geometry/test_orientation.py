import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.geometry import orientation as module
from tests.geofence.packed import callable_from_python

orientation = callable_from_python(module.orientation)

degrees = st.floats(-540, 540).filter(lambda value: value == 0 or abs(value) > 1e-130)


def exact(ax, ay, bx, by, cx, cy) -> int:
    ax, ay, bx, by, cx, cy = (Fraction(value) for value in (ax, ay, bx, by, cx, cy))
    determinant = (ax - cx) * (by - cy) - (ay - cy) * (bx - cx)
    return (determinant > 0) - (determinant < 0)


def moved(value: float, steps: int) -> float:
    """Return a double `steps` doubles away."""
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.inf if steps > 0 else -math.inf)
    return value


@given(st.tuples(*[degrees] * 6))
def test_the_sign_is_that_of_rational_arithmetic(coordinates):
    assert orientation(*coordinates) == exact(*coordinates)


@settings(max_examples=1000, deadline=None)
@given(
    st.tuples(*[st.floats(-180, 180)] * 4),
    st.floats(-1, 2),
    st.integers(-4, 4),
    st.integers(-4, 4),
)
def test_a_point_some_roundings_off_a_line_is_on_its_side(ends, along, steps_x, steps_y):
    ax, ay, bx, by = (value if abs(value) > 1e-9 else 0.0 for value in ends)
    cx, cy = moved(ax + along * (bx - ax), steps_x), moved(ay + along * (by - ay), steps_y)
    cx, cy = (value if abs(value) > 1e-120 else 0.0 for value in (cx, cy))
    assert orientation(ax, ay, bx, by, cx, cy) == exact(ax, ay, bx, by, cx, cy)


@pytest.mark.parametrize(
    "coordinates",
    [
        (0.1, 0.1, 0.3, 0.3, 0.2, 0.2),
        (0.1, 0.1, 0.3, 0.3, 0.2, 0.2 + 2**-55),
        (12.0, 12.0, 24.0, 24.0, 0.5 + 2**-53, 0.5),
        (-179.9, 0.1, 180.1, 0.3, 0.1, 0.2),
        (0.5, 0.5, 12.0, 12.0, 24.0, 24.0),
        (1e-100, 1.0, 1.0, 1e-100, 0.5, 0.5),
        (7.0, 7.0, 7.0, 7.0, 3.0, 4.0),
        (3.0, 4.0, 7.0, 7.0, 7.0, 7.0),
    ],
)
def test_where_doubles_alone_would_err(coordinates):
    ax, ay, bx, by, cx, cy = coordinates
    assert orientation(*coordinates) == exact(*coordinates)
    assert orientation(bx, by, ax, ay, cx, cy) == -exact(*coordinates)
