"""Telling of trips and stops: what a consumer knows by the events is what the fixes say, in
whatever order these came.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest

from geofence.trips.history import Found, Stop, trips_and_stops
from geofence.trips.telling import (
    Change,
    News,
    Seen,
    Telling,
    Told,
    event_id,
    falls_due_us,
    news,
    rests_until_us,
)
from geofence.trips.track import Track, TripRules
from tests.geofence.trips.test_history import Way

RULES = TripRules()
ASSET = UUID(int=7)
HOUR_S = 3_600.0
S = 1_000_000  # microseconds


def seen_of(track: Track) -> list[Seen]:
    return [Seen(Found(track, what, is_cut=False), True) for what in trips_and_stops(track, RULES)]


def part(track: Track, rows: Iterable[int] | np.ndarray) -> Track:
    """Return the track of some of the fixes."""
    chosen = np.sort(np.array(list(rows), int))
    return Track(*(getattr(track, name)[chosen] for name in Track.__dataclass_fields__))


@dataclass
class Teller:
    """An asset of which is told, and a consumer who hears it."""

    since_us: int = -1
    told: dict[UUID, Told] = field(default_factory=dict)
    heard: dict[UUID, Told] = field(default_factory=dict)
    stops: list[UUID] = field(default_factory=list)
    events: list[News] = field(default_factory=list)
    ids: set[UUID] = field(default_factory=set)

    def look(self, track: Track, now_us: int | None = None) -> list[str]:
        """Tell what is new, and return the words of it."""
        now_us = int(track.time_us[-1]) if now_us is None else now_us
        all_news = news(
            ASSET, list(self.told.values()), seen_of(track), self.since_us, now_us, RULES
        )
        words: list[str] = []
        for each in all_news:
            self.told[each.now.id] = each.now
            if each.kind is None:
                continue
            words.append(each.change or each.kind)
            self.events.append(each)
            new_id = event_id(each.now.id, each.now.revision)
            assert new_id not in self.ids, "an event is told once"
            self.ids.add(new_id)
            if each.kind == Telling.STOPPED:
                self.stops.append(each.now.id)
            else:
                self._hear(each)
        return words

    def _hear(self, each: News) -> None:
        known = self.heard.get(each.now.id)
        assert each.now.revision == (1 if known is None else known.revision + 1)
        match each.kind:
            case Telling.STARTED:
                assert known is None or known.is_retracted
            case Telling.ENDED:
                assert known is not None
                assert (known.started_us, known.ended_us) == (each.now.started_us, None)
            case _:
                assert each.before == known
                assert known is not None
                assert not known.is_retracted
        self.heard[each.now.id] = each.now

    def trips(self) -> list[tuple[int, int | None]]:
        """Return the trips that the consumer knows."""
        return sorted(
            (each.started_us, each.ended_us)
            for each in self.heard.values()
            if not each.is_retracted
        )


def said(track: Track, now_us: int, since_us: int = -1) -> list[tuple[int, int | None]]:
    """Return the trips that the fixes say."""
    return [
        (
            each.found.first_us,
            None
            if each.found.what.is_open and now_us - each.found.last_us < RULES.trip_gap_us
            else each.found.last_us,
        )
        for each in seen_of(track)
        if not isinstance(each.found.what, Stop) and each.found.last_us > since_us
    ]


def day() -> Track:
    """Return a day with an errand, a jam, a lunch with the ignition on, a ferry and a gap."""
    way = Way(every_s=60.0).turned(1).stay(1_200).drive(9_000).stay(1_200).drive(4_000).stay(200)
    way = way.drive(6_000).stay(2_400).turned(0).unseen(0).drive(5_000).turned(1).drive(3_000)
    way = way.stay(600).drive(-9_000).unseen(2 * HOUR_S, -40_000).drive(-5_000).stay(1_800)
    return way.track()


DAY = day()
ERRAND = Way().stay(600).drive(5_000).stay(600).drive(3_000).stay(600).track()


def test_a_day_as_it_comes() -> None:
    teller, words = Teller(), list[str]()
    for end in range(1, len(ERRAND) + 1):
        words += teller.look(part(ERRAND, range(end)))
    assert words == ["stopped", "started", "ended", "stopped", "started", "ended", "stopped"]
    assert teller.trips() == said(ERRAND, int(ERRAND.time_us[-1]))
    assert teller.look(ERRAND) == []
    # A trip has one id, and the numbers of its events follow one another.
    revisions = [(each.now.id, each.now.revision) for each in teller.events[1:3]]
    assert revisions == [(teller.events[1].now.id, 1), (teller.events[1].now.id, 2)]


@pytest.mark.parametrize("seed", range(200))
def test_any_order_of_arrival_tells_the_same(seed: int) -> None:
    chances, track = random.Random(seed), DAY
    now_us, teller = int(track.time_us[-1]) + 10 * S, Teller()
    arrived: list[int] = []
    for batch in batches(chances, len(track)):
        arrived += batch
        seen_until_us = int(track.time_us[max(arrived)])
        teller.look(part(track, arrived), seen_until_us + chances.choice((0, 2 * 3_600 * S)))
    teller.look(track, now_us)
    assert teller.trips() == said(track, now_us)
    # Each stop that there is was told.
    stops = [each for each in teller.told.values() if each.is_stop and not each.is_retracted]
    assert sorted((each.started_us, each.ended_us) for each in stops) == [
        (each.found.first_us, None if each.found.what.is_open else each.found.last_us)
        for each in seen_of(track)
        if isinstance(each.found.what, Stop)
    ]
    assert {each.id for each in stops} <= set(teller.stops)
    assert len(teller.stops) == len(set(teller.stops))


def batches(chances: random.Random, fixes: int) -> list[list[int]]:
    """Return an order of arrival: in order, in pieces that change places, or at random; cut."""
    order = list(range(fixes))
    match chances.randrange(4):
        case 0:
            pass
        case 1:
            chances.shuffle(order)
        case 2:  # a device that was away sends its store from the newest fix on
            order.reverse()
        case _:
            edges = sorted({0, fixes, *chances.sample(range(fixes), 6)})
            pieces = [order[begin:end] for begin, end in pairwise(edges)]
            chances.shuffle(pieces)
            order = [each for piece in pieces for each in piece]
    cuts = sorted({0, fixes, *chances.sample(range(1, fixes), 12)})
    return [order[begin:end] for begin, end in pairwise(cuts)]


def looks(*tracks: Track, now_s: Sequence[float] = ()) -> list[list[str]]:
    """Return what each look tells."""
    teller = Teller()
    times = [*now_s, *[float(track.time_us[-1]) / S for track in tracks[len(now_s) :]]]
    return [
        teller.look(track, round(now_s * S)) for track, now_s in zip(tracks, times, strict=True)
    ]


def without(track: Track, begin_s: float, end_s: float) -> Track:
    inside = (track.time_us >= begin_s * S) & (track.time_us < end_s * S)
    return part(track, np.flatnonzero(~inside))


def test_late_fixes_of_a_stop_split_a_trip() -> None:
    # 600 s parked, 333 s of driving, 600 s of a stop that come late, 200 s of driving, parked.
    first, second = looks(without(ERRAND, 880, 1_560), ERRAND)
    assert first == ["stopped", "started", "ended", "stopped"]
    assert second == ["split", "stopped", "started", "ended"]


def test_a_late_fix_on_the_way_between_two_parts_merges_them() -> None:
    # What seems a stop of six minutes was a slow tour of the yard behind the hill.
    track = (
        Way().stay(600).drive(5_000).stay(20).unseen(400).stay(20).drive(4_000).stay(600).track()
    )
    tour = Way().stay(600).drive(5_000).stay(20)
    tour = tour.drive(1_500, 10).drive(-1_500, 10).unseen(100).stay(20).drive(4_000).stay(600)
    first, second = looks(track, tour.track())
    assert first == ["stopped", "started", "ended", "stopped", "started", "ended", "stopped"]
    assert second == ["merged", "end"]


def test_a_trip_of_wrong_fixes_is_retracted() -> None:
    away = Way().stay(600).drive(600).drive(-600).stay(600).track()
    parked = without(away, 600, 680)
    assert looks(away, parked) == [["stopped", "started", "ended", "stopped"], ["retracted"]]
    # And where they are there again after all, the trip is told again, under its id.
    teller = Teller()
    for track in (away, parked, away):
        words = teller.look(track)
    assert words == ["started", "ended"]
    assert [each.now.revision for each in teller.events if each.kind != Telling.STOPPED] == [
        1, 2, 3, 4, 5,
    ]  # fmt: skip


def test_a_late_fix_of_the_beginning_moves_the_start() -> None:
    whole = Way().stay(600).drive(9_000).stay(600).track()
    first, second = looks(without(whole, 600, 800), whole)
    assert first[:3] == ["stopped", "started", "ended"]
    assert second == ["start"]


def test_who_falls_silent_has_ended_by_deadline_and_who_goes_on_has_not() -> None:
    whole = Way().stay(600).drive(9_000).unseen(2 * HOUR_S, 90_000).drive(9_000).stay(600).track()
    silent = part(whole, range(int(np.searchsorted(whole.time_us, 1_200 * S))))
    last_s = float(silent.time_us[-1]) / S
    deadline_s = last_s + RULES.trip_gap_s
    assert falls_due_us(seen_of(silent), round((deadline_s - 1) * S), RULES) == deadline_s * S
    assert falls_due_us(seen_of(silent), round(deadline_s * S), RULES) is None
    assert falls_due_us(seen_of(whole), int(whole.time_us[-1]), RULES) is None
    again = part(whole, np.flatnonzero(whole.time_us < 9_000 * S))
    told = looks(silent, silent, silent, again, whole, now_s=[last_s, deadline_s - 1, deadline_s])
    assert told == [["stopped", "started"], [], ["ended"], ["end"], ["ended", "stopped"]]


@pytest.mark.parametrize("track", [ERRAND, DAY], ids=["errand", "day"])
def test_while_a_trip_rests_further_fixes_change_nothing(track: Track) -> None:
    rested = 0
    for begin in range(2, len(track)):
        now = seen_of(part(track, range(begin)))
        if not now or isinstance((trip := now[-1].found).what, Stop) or not trip.what.is_open:
            continue
        teller = Teller()
        teller.look(part(track, range(begin)))
        end = int(np.searchsorted(track.time_us, rests_until_us(trip, RULES)))
        rested += max(0, end - begin)
        for more in range(begin + 1, end + 1):
            assert teller.look(part(track, range(more))) == []
    assert rested > 100  # a moving trip is looked at once in five minutes or so


def test_an_end_by_deadline_says_so() -> None:
    teller, track = Teller(), part(ERRAND, range(90))
    teller.look(track, int(track.time_us[-1]) + RULES.trip_gap_us)
    started, ended = (each for each in teller.events if each.kind != Telling.STOPPED)
    assert (started.now.ended_us, started.by_timer) == (None, False)
    assert (ended.now.ended_us, ended.by_timer) == (int(track.time_us[-1]), True)


def test_nothing_of_the_past_is_told_but_the_trip_under_way() -> None:
    """Of stops those are told that begin from then on, of trips those that end."""
    now_us = int(ERRAND.time_us[-1])
    teller = Teller(since_us=1_600 * S)  # amid the second trip
    assert teller.look(ERRAND) == ["started", "ended", "stopped"]
    assert teller.trips() == said(ERRAND, now_us, since_us=1_600 * S)
    assert len(teller.trips()) == 1


def test_what_lies_at_an_edge_is_left_alone() -> None:
    """What further fixes may change is neither told nor taken back."""
    teller = Teller()
    teller.look(ERRAND)
    half = part(ERRAND, range(167))  # amid the second trip
    until_us = int(half.time_us[-1])
    told = [each for each in teller.told.values() if each.started_us < until_us]
    sure = seen_of(half)
    unsure = [*sure[:-1], sure[-1]._replace(is_sure=False)]
    assert news(ASSET, told, unsure, -1, until_us, RULES) == []
    assert [each.change for each in news(ASSET, told, sure, -1, until_us, RULES)] == [Change.END]


def test_what_has_lost_its_first_fixes_is_left_alone() -> None:
    """As where they have grown too old."""
    teller = Teller()
    teller.look(ERRAND)
    for first in (40, 70, 90):  # amid a stop, amid a trip, amid the next stop
        assert teller.look(part(ERRAND, range(first, len(ERRAND)))) == []


def test_words_are_those_of_the_events() -> None:
    assert [each.value for each in Change] == ["start", "end", "split", "merged", "retracted"]
