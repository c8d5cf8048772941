"""The number of late fixes and of transitions that one plan has, so that they take a few
milliseconds.

A late fix is judged again with all that follows it, up to the next checkpoint. One can cost as much
as thousands of others if a tracker sends from late to early, and the acknowledgements of all
devices wait for the plan. So each organization has a share of a fixed time, by the cost of its last
late fixes. The rest is deferred (`ingest.planning.deferral`).

A transition costs as much as several fixes, and a fix may pass through many zones.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from ingest.late.rejudge import Spent

LATE_S = 0.005
"""Of all organizations together, where several send."""
LATE_ALONE_S = 0.1
TRANSITIONS_S = 0.007
"""Of each organization, where several send."""
_UNKNOWN_S = 0.001  # a fix of an organization that had no late one yet
_FIXES_OF_TRANSITION = 8  # that take as long
_DEAREST_S = 0.001  # a transition, however long the disk hangs
_COMPANY_US = 1_000_000  # who has sent nothing for longer does not wait
_REST = 20  # times as long as a plan took too long
_WEIGHT = 0.2  # of the newest plan, where it was cheaper than those before


class LatePace:
    """The cost of a late fix of each organization, as seen in the last plans."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._fix_s: dict[int, float] = {}  # by organization
        self._rests_until_s: dict[int, float] = {}

    def most(self, organization: int, share_s: float, *, may_rest: bool = False) -> int:
        """Return how many fixes take `share_s`; one at least. may_rest: but none, while others have
        the time back that the last plan took too much.
        """
        if may_rest and self._rests_until_s.get(organization, 0.0) > self._clock():
            return 0
        return max(1, int(share_s / self._fix_s.get(organization, _UNKNOWN_S)))

    def saw(self, spent: Mapping[int, Spent], transition_s: float) -> None:
        """Note a plan. spent: by organization. transition_s: what a transition costs, which changes
        two rows.

        What became dearer counts at once, so that one plan at most is too long.
        """
        for organization, (fixes, took_s, rows) in spent.items():
            if fixes:
                cost_s = took_s + rows / 2 * transition_s
                self._rests_until_s[organization] = self._clock() + _REST * (cost_s - LATE_S)
                fix_s = max(cost_s / fixes, 1e-6)
                before_s = self._fix_s.get(organization, fix_s)
                self._fix_s[organization] = max(fix_s, before_s + _WEIGHT * (fix_s - before_s))


class TransitionPace:
    """The cost of a transition, with the rows and the event that it writes, as seen lately."""

    def __init__(self) -> None:
        self.transition_s = 1e-4

    @property
    def most(self) -> int:
        """The transitions that take TRANSITIONS_S."""
        return int(TRANSITIONS_S / self.transition_s)

    def saw(self, fixes: int, transitions: float, took_s: float) -> None:
        """Note a plan that was carried out: its new fixes and transitions, and the seconds of its
        transaction.
        """
        if transitions:
            transition_s = took_s / (transitions + fixes / _FIXES_OF_TRANSITION)
            self.transition_s += _WEIGHT * (min(transition_s, _DEAREST_S) - self.transition_s)


class Company:
    """Whether several organizations send. Then others wait for each plan, also for one that has
    fixes of one organization alone.
    """

    def __init__(self) -> None:
        self._sent_us: dict[int, int] = {}  # by organization
        self.is_shared = False

    def saw(self, organizations: Sequence[int], now_us: int) -> None:
        """Note whose fixes a plan has."""
        self._sent_us |= dict.fromkeys(organizations, now_us)
        since_us = now_us - _COMPANY_US
        self._sent_us = {one: at for one, at in self._sent_us.items() if since_us < at <= now_us}
        self.is_shared = len(self._sent_us) > 1
