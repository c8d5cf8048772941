"""The number of late fixes that one plan judges, so that they take a few milliseconds.

A late fix is judged again with all that follows it, up to the next checkpoint. One can cost as much
as thousands of others if a tracker sends from late to early, and the acknowledgements of all
devices wait for the plan. So each organization has a share of a fixed time, by the cost of its last
late fixes. The rest is deferred (`ingest.planning.deferral`).
"""

from collections.abc import Mapping

LATE_S = 0.005
"""Of all organizations together, where a batch has fixes of others too."""
LATE_ALONE_S = 0.1
_UNKNOWN_S = 0.001  # a fix of an organization that had no late one yet
_WEIGHT = 0.2  # of the newest plan, where it was cheaper than those before


class LatePace:
    """The cost of a late fix of each organization, as seen in the last plans."""

    def __init__(self) -> None:
        self._fix_s: dict[int, float] = {}  # by organization

    def most(self, organization: int, share_s: float) -> int:
        """Return how many fixes take `share_s`; one at least."""
        return max(1, int(share_s / self._fix_s.get(organization, _UNKNOWN_S)))

    def saw(self, spent: Mapping[int, tuple[int, float]]) -> None:
        """Note a plan. spent: by organization, late fixes and the seconds that they took.

        What became dearer counts at once, so that one plan at most is too long.
        """
        for organization, (fixes, took_s) in spent.items():
            if fixes:
                fix_s = max(took_s / fixes, 1e-6)
                before_s = self._fix_s.get(organization, fix_s)
                self._fix_s[organization] = max(fix_s, before_s + _WEIGHT * (fix_s - before_s))
