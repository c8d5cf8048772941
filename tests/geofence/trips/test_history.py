"""Trips and stops of tracks whose answer is known because they were made so."""

from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, radians
from typing import Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.trips.history import Stop, Trip, trips_and_stops
from geofence.trips.track import Track, TripRules

RULES = TripRules()
EVERY_S = 10.0
DRIVING_MPS = 15.0


@dataclass
class Way:
    """A way that is driven: metres to the east and north of a place, a fix every `every_s`."""

    lat: float = 47.0
    lon: float = 8.0
    every_s: float = EVERY_S
    rows: list[tuple[float, float, float, int]] = field(default_factory=list)
    time_s: float = 0.0
    x: float = 0.0
    y: float = 0.0
    ignition: int = -1

    def stay(self, seconds: float) -> Self:
        return self._go(seconds, self.x, self.y)

    def drive(self, metres: float, speed_mps: float = DRIVING_MPS) -> Self:
        return self._go(abs(metres) / speed_mps, self.x + metres, self.y)

    def unseen(self, seconds: float, metres: float = 0.0) -> Self:
        """Go on without a fix."""
        self.time_s += seconds
        self.x += metres
        return self

    def turned(self, ignition: int) -> Self:
        self.ignition = ignition
        return self

    def _go(self, seconds: float, x: float, y: float) -> Self:
        steps = max(1, round(seconds / self.every_s))
        from_x, from_y = self.x, self.y
        for step in range(steps):
            share = step / steps
            place = (from_x + share * (x - from_x), from_y + share * (y - from_y))
            self.rows.append((self.time_s + share * seconds, *place, self.ignition))
        self.time_s += seconds
        self.x, self.y = x, y
        return self

    def track(
        self, *, errors_m: np.ndarray | None = None, accuracy_m: float = 0.0, speed_mps: float = 9.0
    ) -> Track:
        time_s, x, y, ignition = (
            np.array(column, float) for column in zip(*self.rows, strict=True)
        )
        if errors_m is not None:
            x, y = x + errors_m[0], y + errors_m[1]
        lon = self.lon + x / (111_195 * cos(radians(self.lat)))
        n = len(time_s)
        return Track(
            time_us=(time_s * 1_000_000).astype(np.int64),
            lat=self.lat + y / 111_195,
            lon=(lon + 540) % 360 - 180,
            accuracy_m=np.full(n, accuracy_m),
            speed_mps=np.full(n, speed_mps),
            odometer_m=np.full(n, np.nan),
            ignition=ignition.astype(np.int8),
        )


def told(track: Track, rules: TripRules = RULES) -> str:
    """Return what was found: S a stop, T a trip, C a carried one, G a trip with a gap; small while
    it is open.
    """
    return "".join(_letter(found) for found in trips_and_stops(track, rules))


def _letter(found: Trip | Stop) -> str:
    match found:
        case Stop():
            letter = "S"
        case Trip(is_carried=True):
            letter = "C"
        case Trip(has_gap=True):
            letter = "G"
        case Trip():
            letter = "T"
    return letter.lower() if found.is_open else letter


HOUR = 3600.0
CASES = {
    "nothing but a fix": (Way().stay(EVERY_S), ""),
    "four minutes at a place": (Way().stay(240), ""),
    "parked": (Way().stay(HOUR), "s"),
    "driving all the time": (Way().drive(20_000), "t"),
    "there and on": (Way().stay(600).drive(5_000).stay(600).drive(3_000), "STSt"),
    "it stands at the end, not yet for long": (Way().stay(600).drive(5_000).stay(200), "St"),
    "a traffic light of 90 s": (
        Way().stay(600).drive(3_000).stay(90).drive(3_000).stay(600),
        "STs",
    ),
    "a tunnel of four minutes": (
        Way().stay(600).drive(3_000).unseen(240, 4_000).drive(3_000).stay(600),
        "STs",
    ),
    "a gap while it moves": (
        Way().stay(600).drive(3_000).unseen(2 * HOUR, 90_000).drive(3_000).stay(600),
        "SGs",
    ),
    "no fix at night": (Way().stay(600).unseen(8 * HOUR).stay(60).drive(5_000).stay(600), "STs"),
    "moved at night": (Way().stay(600).unseen(8 * HOUR, 7_000).stay(600), "SGs"),
    "moved within the yard": (Way().stay(600).drive(120, 3).stay(600).drive(-90, 3).stay(600), "s"),
    "around the block and back": (
        Way().stay(600).drive(400).drive(-400).stay(600),
        "STs",
    ),
    "slowly along a field": (Way().stay(600).drive(3_000, 1.2).stay(600), "STs"),
    "a tow truck takes it": (
        Way().turned(0).stay(600).drive(9_000).stay(600).turned(1).drive(5_000).turned(0).stay(600),
        "SCSTs",
    ),
    "a ferry that waits": (
        Way()
        .turned(1)
        .drive(4_000)
        .turned(0)
        .stay(720)
        .drive(15_000, 6)
        .stay(600)
        .turned(1)
        .drive(4_000),
        "TSCSt",
    ),
    "a ferry that leaves at once": (
        Way().turned(1).drive(4_000).turned(0).drive(9_000, 6).turned(1).drive(4_000),
        "TCt",
    ),
    "the engine stops for a minute on the way": (
        Way().turned(1).stay(600).drive(4_000).turned(0).drive(400, 6).turned(1).drive(2_000),
        "St",
    ),
    "over the 180th meridian": (Way(lon=179.99).stay(600).drive(5_000).stay(600), "STs"),
    "far in the north": (Way(lat=78.2).stay(600).drive(5_000).stay(600), "STs"),
    "a fix every ten minutes": (
        Way(every_s=600).stay(HOUR).drive(20_000).stay(2 * HOUR).drive(9_000).stay(HOUR),
        "STSTs",
    ),
}


@pytest.mark.parametrize(("way", "wanted"), CASES.values(), ids=list(CASES))
def test_ways_that_are_known(way: Way, wanted: str) -> None:
    assert told(way.track()) == wanted


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("walks", [False, True])
@pytest.mark.parametrize("every_s", [10.0, 60.0])
def test_errors_of_30_m_for_eight_hours_are_one_stop(
    seed: int, walks: bool, every_s: float
) -> None:
    way = Way(every_s=every_s).stay(8 * HOUR)
    errors_m = _errors_m(len(way.rows), every_s, seed, walks=walks)
    (stop,) = trips_and_stops(way.track(errors_m=errors_m), RULES)
    assert isinstance(stop, Stop)
    assert (stop.first, stop.last, stop.is_open) == (0, len(way.rows) - 1, True)


@pytest.mark.parametrize("seed", range(20))
def test_errors_of_30_m_hide_no_trip(seed: int) -> None:
    way = Way().stay(HOUR).drive(3_000).stay(HOUR).drive(2_000).stay(HOUR)
    errors_m = _errors_m(len(way.rows), EVERY_S, seed, walks=True)
    track = way.track(errors_m=errors_m, accuracy_m=30.0)
    assert told(track) == "STSTs"
    _, trip, *_ = trips_and_stops(track, RULES)
    assert isinstance(trip, Trip)
    assert trip.distance_m == pytest.approx(3_000, rel=0.05)


def _errors_m(n: int, every_s: float, seed: int, *, walks: bool) -> np.ndarray:
    """Return errors of which 68 % are below 30 m; walks: correlated over five minutes."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, 30.0 / 1.51, (2, n))
    if not walks:
        return noise
    kept = float(np.exp(-every_s / 300.0))
    for row in range(1, n):
        noise[:, row] = kept * noise[:, row - 1] + np.sqrt(1 - kept**2) * noise[:, row]
    return noise


def test_an_outlier_ends_no_stop() -> None:
    track = Way(every_s=60).stay(HOUR).track()
    track.lat[30] += 0.01
    assert told(track) == "s"


def test_what_a_trip_says() -> None:
    way = Way(lon=179.99).stay(600).drive(6_000).stay(600)
    track = way.track()
    track.odometer_m[[65, 90]] = 1_000.0, 5_000.0
    track.speed_mps[70] = 21.5
    stop, trip, _ = trips_and_stops(track, RULES)
    assert isinstance(stop, Stop)
    assert isinstance(trip, Trip)
    assert (stop.first, trip.first) == (0, stop.last)
    assert track.time_us[trip.last] - track.time_us[trip.first] == pytest.approx(400e6, abs=20e6)
    assert trip.distance_m == pytest.approx(6_000, rel=0.01)
    assert (trip.odometer_m, trip.top_speed_mps) == (4_000.0, 21.5)
    assert (stop.lat, stop.lon) == pytest.approx((47.0, 179.99), abs=1e-3)


def test_the_middle_of_a_stop_is_where_most_of_its_fixes_are() -> None:
    way = Way().stay(600).drive(120, 3).stay(HOUR)
    (stop,) = trips_and_stops(way.track(), RULES)
    assert isinstance(stop, Stop)
    assert (stop.lon - 8.0) * 111_195 * cos(radians(47.0)) == pytest.approx(120, abs=1)


def test_idling_is_told_apart_from_parking() -> None:
    way = Way().turned(1).drive(3_000).stay(400).turned(0).stay(HOUR).turned(1).drive(3_000)
    trip, stop, _ = trips_and_stops(way.track(), RULES)
    assert isinstance(trip, Trip)
    assert isinstance(stop, Stop)
    assert stop.idle_s == pytest.approx(400, abs=30)
    assert told(way.track()) == "TSt"


def test_without_ignition_idling_is_not_known() -> None:
    (stop,) = trips_and_stops(Way().stay(HOUR).track(), RULES)
    assert isinstance(stop, Stop)
    assert stop.idle_s is None


def test_rules_are_followed() -> None:
    track = Way().stay(600).drive(3_000).stay(90).drive(3_000).stay(600).track()
    assert told(track, TripRules(stop_after_s=60)) == "STSTs"
    assert told(Way().stay(600).drive(120, 3).stay(600).track(), TripRules(trip_min_m=60)) == "STs"


@pytest.mark.parametrize("name", ["stop_radius_m", "stop_after_s", "trip_min_m", "trip_gap_s"])
def test_rules_that_make_no_sense(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0"):
        TripRules(**{name: 0.0})


@given(
    steps=st.lists(
        st.tuples(
            st.floats(1, 2_000),
            st.floats(-400, 400),
            st.floats(-400, 400),
            st.floats(0, 100),
            st.integers(-1, 1),
        ),
        max_size=60,
    )
)
def test_all_follow_one_another(
    steps: list[tuple[float, float, float, float, int]],
) -> None:
    columns = np.array(steps, float).reshape(-1, 5).T
    track = Track(
        time_us=np.cumsum(columns[0] * 1_000_000).astype(np.int64),
        lat=89.0 + np.cumsum(columns[1] / 111_195) / 100,
        lon=(np.cumsum(columns[2] / 111_195) + 180 + 180) % 360 - 180,
        accuracy_m=columns[3],
        speed_mps=np.full(len(steps), np.nan),
        odometer_m=np.full(len(steps), np.nan),
        ignition=columns[4].astype(np.int8),
    )
    found = trips_and_stops(track, RULES)
    for before, after in pairwise(found):
        assert before.last == after.first
        assert not before.is_open
        assert not (isinstance(before, Stop) and isinstance(after, Stop))
    if found:
        assert found[0].first == 0
        assert found[-1].is_open
        assert found[-1].last == len(track) - 1
    for one in found:
        assert one.first < one.last
        if isinstance(one, Stop):
            took_us = track.time_us[one.last] - track.time_us[one.first]
            assert took_us >= RULES.stop_after_s * 1_000_000
