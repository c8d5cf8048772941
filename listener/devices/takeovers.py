"""A tracker has one connection: a newer one ends the older one, and a fight is slowed down.
Sign-ins that follow each other quickly are slowed down, too.

Two devices with one credential take the connection from each other for ever. After the sixth time
in a minute the newcomer waits for its CONNACK.
"""

from collections import deque
from uuid import UUID

WINDOW_S = 60.0
FREE = 5
"""Takeovers in a minute that cost nothing."""
FIRST_DELAY_S, LONGEST_DELAY_S = 10.0, 60.0
SIGN_INS_AT_ONCE = 10
SIGN_IN_S = 0.5
"""A tracker that signs in more often waits for its CONNACK."""
_MOST_TRACKERS = 100_000


class Takeovers:
    """The takeovers of each tracker's connections in the last minute."""

    def __init__(self) -> None:
        self._times: dict[UUID, deque[float]] = {}

    def note(self, tracker_id: UUID, now_s: float) -> bool:
        """Count one; whether the tracker's credential looks shared."""
        times = self._times.pop(tracker_id, None) or deque(maxlen=FREE + 4)
        times.append(now_s)
        self._times[tracker_id] = times  # the youngest is the last
        if len(self._times) > _MOST_TRACKERS:
            del self._times[next(iter(self._times))]
        return self._recent(times, now_s) > FREE

    def delay_s(self, tracker_id: UUID, now_s: float) -> float:
        """Return how long the next connection of the tracker waits for its CONNACK."""
        times = self._times.get(tracker_id)
        if times is None:
            return 0.0
        beyond = self._recent(times, now_s) - FREE
        return 0.0 if beyond <= 0 else min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (beyond - 1))

    @staticmethod
    def _recent(times: deque[float], now_s: float) -> int:
        return sum(now_s - time_s < WINDOW_S for time_s in times)


class SignIns:
    """The next time at which each tracker may sign in: some at once, then one after the other."""

    def __init__(self) -> None:
        self._due_s: dict[UUID, float] = {}

    def delay_s(self, tracker_id: UUID, now_s: float) -> float:
        """Count a sign-in; how long it waits for its CONNACK."""
        due_s = max(self._due_s.pop(tracker_id, now_s), now_s) + SIGN_IN_S
        self._due_s[tracker_id] = due_s  # the youngest is the last
        if len(self._due_s) > _MOST_TRACKERS:
            del self._due_s[next(iter(self._due_s))]
        return max(0.0, due_s - now_s - SIGN_INS_AT_ONCE * SIGN_IN_S)
