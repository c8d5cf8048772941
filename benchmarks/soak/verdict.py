"""The verdict on a soak run, pure: is memory flat, and is a line in a log explained.

Memory is that which a process has for itself: anonymous pages (proc(5): RssAnon). Shared buffers
and mapped files are left out, which each process of PostgreSQL counts as it comes to touch them.

Flat means, for a process that lived long enough to tell: in the last third of its life the median
is not higher than in the middle third by more than the bounds. There are two of them. Growth that
goes on while nothing is broken, by the trend within such calm stretches (Theil and Sen: the median
of the slopes of all pairs), has the narrow one. Growth by steps has the wide one: a backlog that is
larger than those before leaves memory behind that the process keeps for the next. The first third
is left out, in which caches fill.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.soak.faults import Fault, Kind

LEAST_SAMPLES = 12
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """The allowance of a value's growth from the middle third to the last: the larger
    of the two.
    """

    absolute: float
    share: float

    def of(self, value: float) -> float:
        return max(self.absolute, self.share * value)


@dataclass(frozen=True, slots=True)
class Bounds:
    """steady: of growth while nothing is broken. by_steps: of any."""

    steady: Allowance
    by_steps: Allowance


MEMORY_MIB = Bounds(Allowance(6.0, 0.05), Allowance(64.0, 0.25))
FILES = Bounds(Allowance(10.0, 0.05), Allowance(32.0, 0.1))
THREADS = Bounds(Allowance(1.0, 0.0), Allowance(4.0, 0.0))
Stretch = tuple[float, float]  # seconds


@dataclass(frozen=True, slots=True)
class Trend:
    """Medians of the thirds of a process's life. is_flat: None where it was too short to tell.

    per_hour: how fast it grew in the last two of them while nothing was broken.
    """

    first: float
    middle: float
    last: float
    most: float
    per_hour: float
    is_flat: bool | None


def trend(
    at_s: Sequence[float],
    values: Sequence[float],
    bounds: Bounds,
    calm: Sequence[Stretch],
    least_s: float,
) -> Trend:
    """Compute the trend of one process, which had `values` at those seconds."""
    times, numbers = np.array(at_s), np.array(values, np.float64)
    thirds = np.array_split(numbers, 3)
    first, middle, last = (float(np.median(one if len(one) else numbers)) for one in thirds)
    most, lived_s = float(numbers.max()), times[-1] - times[0]
    if len(numbers) < LEAST_SAMPLES or lived_s < least_s:
        return Trend(first, middle, last, most, 0.0, None)
    later = slice(len(thirds[0]), None)
    per_s = _slope(times[later], numbers[later], calm)
    rise, steady = last - middle, per_s * lived_s / 3  # from the middle of one third to the next
    has_grown = min(rise, steady) > bounds.steady.of(middle) or rise > bounds.by_steps.of(middle)
    return Trend(first, middle, last, most, per_s * _HOUR_S, not has_grown)


def _slope(times: np.ndarray, values: np.ndarray, calm: Sequence[Stretch]) -> float:
    """Return the change a second, by the pairs that lie in one calm stretch; 0 where
    there is none.
    """
    slopes = [
        (values[second] - values[first]) / (times[second] - times[first])
        for begins_s, ends_s in calm
        for first, second in combinations(
            np.flatnonzero((times >= begins_s) & (times <= ends_s)).tolist(), 2
        )
    ]
    return float(np.median(slopes)) if slopes else 0.0


def calm_stretches(faults: Sequence[Fault], end_s: float) -> list[Stretch]:
    """Return the stretches from when nothing waited any more of one fault to the beginning of the
    next.
    """
    ends = [fault.ended_s if fault.caught_up_s is None else fault.caught_up_s for fault in faults]
    begins = [*(fault.began_s for fault in faults[1:]), end_s]
    return [pair for pair in zip(ends, begins, strict=True) if pair[0] < pair[1]]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log. source: whose. at_s: when it was seen, since the load began."""

    source: str
    at_s: float
    text: str


_POSTGRES = re.compile(r" (WARNING|ERROR|FATAL|PANIC):  ")
_SUPERVISOR = re.compile(r" ended \(|not ready|could not be")
_HARMLESS = {"debug", "info"}


def is_suspect(source: str, text: str) -> bool:
    """Return whether the line must be explained: a warning, an error, or what no role
    should write.
    """
    if source == "postgres":
        return _POSTGRES.search(text) is not None
    if source == "supervisor":
        return _SUPERVISOR.search(text) is not None
    try:
        told = json.loads(text)
    except ValueError:
        return bool(text.strip())
    return not isinstance(told, dict) or told.get("level") not in _HARMLESS


@dataclass(frozen=True, slots=True)
class Explained:
    """The lines that a fault brings with it: of which process, which, and how long after its end at
    most.
    """

    source: str
    pattern: str
    kinds: frozenset[Kind]
    within_s: float

    def explains(self, line: Line, faults: Iterable[Fault]) -> bool:
        if re.fullmatch(self.source, line.source) is None or not re.search(self.pattern, line.text):
            return False
        return any(
            fault.kind in self.kinds
            and fault.began_s - SEEN_WITHIN_S <= line.at_s <= fault.ended_s + self.within_s
            for fault in faults
        )


SEEN_WITHIN_S = 1.0  # clocks of faults and lines are one; the line of a fault may be seen first
_STARTED = frozenset({Kind.STARTED})
_STOPPED = frozenset({Kind.DATABASE_STOPPED})
_SESSIONS = frozenset({Kind.SESSIONS_ENDED})
_NO_SESSION = _STOPPED | _SESSIONS
_LISTENER_KILLED = frozenset({Kind.LISTENER_KILLED})
_LISTENER_RESTARTED = frozenset({Kind.LISTENER_RESTARTED})
_HANDED_OVER = frozenset({Kind.INGEST_ROLLED})
_INGEST_KILLED = frozenset({Kind.INGEST_KILLED})
_INGEST, _ROLES = r"ingest(-2)?", r"ingest(-2)?|deliver|api"
# How a role is told that a session is gone, or cannot be had.
_GONE = (
    r"(server closed the connection unexpectedly|Connection (refused|reset)|terminating connection"
    r"|the connection is (lost|closed)|couldn't get a connection|the database system is )"
)

RULES: Sequence[Explained] = (
    # Whoever connects while PostgreSQL starts, or goes through its log after a stop.
    Explained("postgres", r"FATAL:  the database system is ", _STARTED, 0),
    Explained("postgres", r"FATAL:  the database system is ", _STOPPED, 5),
    Explained("supervisor", r"^postgres ended \(exit code 0\)", _STOPPED, 5),
    Explained("postgres", r"terminating connection ", _STOPPED, 5),
    Explained("postgres", r"FATAL:  terminating connection due to admin", _SESSIONS, 2),
    # Roles that lose their sessions say so, and again for each try to connect that fails. The pools
    # of API and delivery wait a little longer each time, so that they are back some seconds later.
    Explained(_INGEST, rf'{_GONE}.*"event":"[^"]+, retrying"', _NO_SESSION, 5),
    Explained("deliver", rf'{_GONE}.*"event":"database unavailable, retrying"', _NO_SESSION, 20),
    Explained("deliver", r'"event":"claimed deliveries not released', _NO_SESSION, 20),
    Explained("api", rf'{_GONE}.*"event":"database unavailable"', _NO_SESSION, 20),
    Explained(
        "api",
        r'"event":"(request counts|reserved requests|last use of credentials) not ',
        _NO_SESSION,
        20,
    ),
    Explained("deliver|api", rf'"event":"error connecting .*{_GONE}.*psycopg\.pool', _STOPPED, 20),
    Explained("deliver|api", r'"event":"discarding closed conn.*psycopg\.pool', _NO_SESSION, 20),
    Explained(_ROLES, r'"event":"error ignored terminating.*"logger":"psycopg', _NO_SESSION, 20),
    Explained(_ROLES, r'"event":"query cancellation interrupted.*psycopg', _NO_SESSION, 5),
    # An ingest that hands over gives up the statement that it waits for.
    Explained("postgres", r" opsc-ingest \w+ ERROR:  canceling statement ", _HANDED_OVER, 5),
    Explained("supervisor", r"^listener ended \(exit code 0\)", _LISTENER_RESTARTED, 5),
    Explained("supervisor", r"^listener ended \(by SIGKILL\)", _LISTENER_KILLED, 5),
    # What the listener knows goes on, and what it notes is written later.
    Explained("listener", r'"event":"(trackers|sessions) not read', _NO_SESSION, 20),
    Explained("listener", r'"event":"connections and sessions not written', _NO_SESSION, 20),
    # The listener says when it has no owner to hand messages to, or cannot look the owner up.
    Explained("listener", r'"event":"messages wait"', _STARTED, 0),
    Explained(
        "listener", r'"event":"messages wait"', _NO_SESSION | _HANDED_OVER | _INGEST_KILLED, 20
    ),
)


def unexplained(
    lines: Iterable[Line], faults: Sequence[Fault], rules: Sequence[Explained] = RULES
) -> list[Line]:
    """Return the suspect lines that no fault brought with it."""
    return [
        line
        for line in lines
        if is_suspect(line.source, line.text)
        and not any(rule.explains(line, faults) for rule in rules)
    ]
