"""What a soak run judges by: is memory flat, is a line explained, when is what broken; and that its
load sends again what a lost connection left open.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.stream import read_stream
from benchmarks.common.workload import Plan
from benchmarks.soak.faults import Fault, Kind, planned
from benchmarks.soak.load import FIXES_IN_A_PASS, Fleet, Tracker, trackers_for, write
from benchmarks.soak.main import parse
from benchmarks.soak.verdict import (
    MEMORY_MIB,
    Allowance,
    Explained,
    Line,
    calm_stretches,
    is_suspect,
    trend,
    unexplained,
)
from benchmarks.soak.watch import Followed
from tests.servers import BrokerUnderTest

TIMES_S = [5.0 * number for number in range(120)]
NOISE = np.random.default_rng(1).normal(0, 2, len(TIMES_S))
SHARE = np.linspace(0, 1, len(TIMES_S))

CALM = [(start_s + 10.0, start_s + 35.0) for start_s in range(0, 600, 40)]


def step_mib(mib: float, begins: float) -> np.ndarray:
    return mib * (begins < SHARE)


# What a process holds over ten minutes, MiB, and whether that is flat.
LIVES = {
    "steady": (200 + NOISE, True),
    "grows until it is warm": (200 + 80 * np.minimum(1, 4 * SHARE) + NOISE, True),
    "a backlog for a while": (200 + 300 * (abs(SHARE - 0.8) < 0.05) + NOISE, True),
    "keeps what a late backlog took": (200 + step_mib(40, 0.7) + NOISE, True),
    "keeps too much of it": (200 + step_mib(80, 0.7) + NOISE, False),
    "one step at the very end": (200 + step_mib(100, 0.9) + NOISE, True),
    "shrinks": (200 - 50 * SHARE + NOISE, True),
    "leaks 6 MiB a minute": (200 + 60 * SHARE + NOISE, False),
    "leaks in noise": (200 + 50 * SHARE + 2 * NOISE, False),
    "leaks a lot at each fault": (200 + 30 * np.floor(15 * SHARE), False),
}


@pytest.mark.parametrize("name", LIVES)
def test_memory_is_flat_when_nothing_grows_in_the_end(name: str) -> None:
    values, is_flat = LIVES[name]
    assert trend(TIMES_S, values.tolist(), MEMORY_MIB, CALM, 300).is_flat is is_flat


def test_a_trend_says_how_much_a_process_held() -> None:
    found = trend(TIMES_S, (100 + 60 * SHARE).tolist(), MEMORY_MIB, CALM, 300)
    assert (found.first, found.middle, found.last) == pytest.approx((110, 130, 150), abs=0.5)
    assert found.most == 160
    assert found.per_hour == pytest.approx(60 * 3600 / 595, rel=1e-6)


def test_a_short_life_tells_nothing() -> None:
    rising = (100 + 60 * SHARE).tolist()
    assert trend(TIMES_S[:6], rising[:6], MEMORY_MIB, CALM, 0).is_flat is None
    assert trend(TIMES_S, rising, MEMORY_MIB, CALM, 3_600).is_flat is None
    assert trend([0.0], [7.0], MEMORY_MIB, CALM, 0).last == 7.0


def test_an_allowance_is_the_larger_of_two() -> None:
    assert Allowance(6, 0.05).of(10) == 6
    assert Allowance(6, 0.05).of(1000) == 50


def test_it_is_calm_from_one_fault_caught_up_with_to_the_next() -> None:
    faults = [
        Fault(Kind.STARTED, 0, 10),
        Fault(Kind.INGEST_KILLED, 40, 45, 50),
        Fault(Kind.NETWORK_CUT, 50, 55, 58),
        Fault(Kind.ZONES_EDITED, 80, 81, 82),
    ]
    assert calm_stretches(faults, 100) == [(10, 40), (58, 80), (82, 100)]


SUSPECT = [
    ("postgres", "2026-11-25 10:15:57.660 UTC [8477] x postgres FATAL:  starting up", True),
    ("postgres", "2026-11-25 10:15:57.660 UTC [8477] x opsc ERROR:  deadlock detected", True),
    ("postgres", "2026-11-25 10:15:57.660 UTC [8473]   LOG:  database system is ready", False),
    ("ingest", '{"event": "leadership lost, retrying", "level": "warning"}', True),
    ("ingest", '{"event": "owner", "level": "info"}', False),
    ("api", "Traceback (most recent call last):", True),
    ("api", "", False),
    ("supervisor", "deliver ended (by SIGSEGV); starting it again in 0.5 s", True),
    ("supervisor", "deliver is running again", False),
]


@pytest.mark.parametrize(("source", "text", "is_one"), SUSPECT)
def test_a_line_is_suspect_when_it_warns_or_is_not_of_the_form(
    source: str, text: str, is_one: bool
) -> None:
    assert is_suspect(source, text) is is_one


RULE = Explained("ingest(-2)?", "leadership lost, retrying", frozenset({Kind.DATABASE_STOPPED}), 5)
STOPPED = Fault(Kind.DATABASE_STOPPED, 100, 110)
TURN_ENDED = json.dumps({"event": "leadership lost, retrying", "level": "warning"})

# A line, the fault before it, and whether the one explains the other.
EXPLAINED = [
    (Line("ingest", 101, TURN_ENDED), STOPPED, True),
    (Line("ingest-2", 115, TURN_ENDED), STOPPED, True),
    (Line("ingest", 116, TURN_ENDED), STOPPED, False),
    (Line("ingest", 98, TURN_ENDED), STOPPED, False),
    (Line("deliver", 101, TURN_ENDED), STOPPED, False),
    (Line("ingest", 101, '{"event": "another", "level": "warning"}'), STOPPED, False),
    (Line("ingest", 101, TURN_ENDED), Fault(Kind.ZONES_EDITED, 100, 110), False),
]


@pytest.mark.parametrize(("line", "fault", "is_explained"), EXPLAINED)
def test_a_fault_explains_its_own_lines_for_a_while(
    line: Line, fault: Fault, is_explained: bool
) -> None:
    assert (unexplained([line], [fault], [RULE]) == []) is is_explained


REFUSED = "connection failed: Connection refused\\n\\tIs the server running on that host?"
# Lines as roles and servers write them, and what brings them about.
BROUGHT = [
    (
        "api",
        f"""{{"event":"error connecting in 'opsc-api': {REFUSED}","level":"warning","""
        '"logger":"psycopg.pool","timestamp":"2026-11-25T15:05:51.485072Z"}',
        Kind.DATABASE_STOPPED,
    ),
    (
        "deliver",
        '{"event":"discarding closed connection: <psycopg.AsyncConnection [BAD] at 0x7f1>",'
        '"level":"warning","logger":"psycopg.pool","timestamp":"2026-11-25T15:05:51.485Z"}',
        Kind.SESSIONS_ENDED,
    ),
    (
        "supervisor",
        "listener ended (exit code 0); starting it again in 0.5 s",
        Kind.LISTENER_RESTARTED,
    ),
    ("supervisor", "listener ended (by SIGKILL); starting it again in 0.5 s", Kind.LISTENER_KILLED),
    *(
        ("listener", f'{{"error":"x","event":"{event}","level":"warning"}}', Kind.DATABASE_STOPPED)
        for event in (
            "trackers not read, using the last known ones",
            "sessions not read, using the last known ones",
            "connections and sessions not written, retrying",
        )
    ),
    (
        "api",
        '{"error":"PoolTimeout","event":"request counts not written, retrying","level":"warning",'
        '"timestamp":"2026-11-25T15:05:51.485072Z"}',
        Kind.SESSIONS_ENDED,
    ),
    (
        "postgres",
        "2026-11-25 15:05:51.485 UTC [4] opsc-ingest opsc ERROR:  canceling statement due to user"
        " request",
        Kind.INGEST_ROLLED,
    ),
]


@pytest.mark.parametrize(("source", "text", "kind"), BROUGHT)
def test_lines_of_a_fault_are_explained_by_it_and_by_no_other(
    source: str, text: str, kind: Kind
) -> None:
    line = Line(source, 103, text)
    assert is_suspect(source, text)
    assert unexplained([line], [Fault(kind, 100, 102)]) == []
    assert unexplained([line], [Fault(Kind.ZONES_EDITED, 100, 102)]) == [line]


def test_a_line_that_is_not_suspect_needs_no_explanation() -> None:
    assert unexplained([Line("ingest", 1, '{"level": "info"}')], [], []) == []


def test_every_kind_of_fault_is_done_several_times_and_part_by_part() -> None:
    found = planned(1200, seed=1)
    times = Counter(one.kind for one in found)
    assert set(times) == set(Kind) - {Kind.STARTED}
    assert min(times.values()) >= 3
    at_s = [one.at_s for one in found]
    assert at_s == sorted(at_s)
    assert at_s[0] >= 45
    assert at_s[-1] <= 1200 - 45
    firsts = [next(one.kind for one in found if one.at_s > at) for at in (0, 415)]
    assert firsts == [Kind.DATABASE_STOPPED] * 2
    ends = [one.at_s for one in found if one.kind in (Kind.INGEST_KILLED, Kind.INGEST_ROLLED)]
    assert max(ends) < 1200 / 2  # so that an ingest lives for half of the run


def test_the_schedule_depends_on_the_seed_alone() -> None:
    assert planned(600, 7) == planned(600, 7) != planned(600, 8)


def test_a_short_run_does_each_kind_once() -> None:
    assert {one.kind for one in planned(60, 1)} == set(Kind) - {Kind.STARTED}


def test_no_tracker_has_to_send_for_longer_than_a_day() -> None:
    messages = 100_000_000
    assert messages / trackers_for(messages) * 5 < 86_400
    assert 86_400 % (FIXES_IN_A_PASS * 5) == 0


def test_a_log_is_followed_over_its_capping(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    path.write_text("first\nsec")
    followed = Followed(path)
    assert followed.lines() == ["first"]
    path.write_text("first\nsecond\n")
    (tmp_path / "one.log.1").write_text("first\nsecond\n")
    path.write_text("third\n")
    assert followed.lines() == ["second", "third"]
    assert followed.lines() == []


def test_trackers_send_again_what_a_lost_broker_did_not_acknowledge(
    tmp_path: Path, private_broker: Callable[..., BrokerUnderTest]
) -> None:
    broker = private_broker()
    write(tmp_path / "stream", Plan(trackers=5, zones=1), ["secret"] * 5)
    stream = read_stream(tmp_path / "stream")
    address = ("127.0.0.1", broker.port)
    trackers = [
        Tracker(number, "secret", share, stream.span_us, address)
        for number, share in enumerate(stream.shares)
    ]
    fleet = Fleet(trackers)
    sent = send_until(fleet, FIXES_IN_A_PASS + 10)
    broker.restart()
    sent += send_until(fleet, 2 * FIXES_IN_A_PASS + 10)
    assert sent == sum(one.next for one in trackers)
    assert fleet.drain() == 0
    assert all(one.acknowledged == one.next == one.most for one in trackers)
    assert [one.connects for one in trackers] == [2] * 5


def send_until(fleet: Fleet, messages: int) -> int:
    """Send until every tracker has sent this many; return by how many all went on."""
    sent = 0
    while any(one.most < messages for one in fleet.trackers):
        sent += fleet.send(50)
        time.sleep(0.002)
    return sent


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--rate", "1"], ["--rate", "x"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
