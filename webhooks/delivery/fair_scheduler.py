"""The scheduler of one pool of slots: it says whose queue starts the next attempt.

A slot that becomes free goes to the organization that has the fewest slots of the pool (max-min
fairness). So neither many endpoints nor slow answers get an organization more than its share. The
queues of one organization take turns. An organization that has as many attempts in flight as it may
have waits until one of them ends.

No I/O and no clock, as in `webhooks.delivery.fair_queue`.
"""

from collections import OrderedDict
from collections.abc import Mapping


class FairScheduler:
    """Endpoints that may start an attempt, by organization.

    totals: attempts in flight of each organization, in all pools. most: the bound of these totals;
    an organization that has reached it starts no attempt here.
    """

    def __init__(self, totals: Mapping[int, int], most: int) -> None:
        self.most = most
        self._totals = totals
        self._in_flight_of: dict[int, int] = {}  # of this pool, by organization
        self._changed: dict[int, None] = {}  # organizations that `next` puts where they belong
        self._ready: dict[int, OrderedDict[int, None]] = {}
        # Organizations that may start an attempt, in buckets by their attempts in flight in this
        # pool.
        self._buckets: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(most)]
        self._bucket_of: dict[int, int] = {}  # of an organization that may start an attempt
        self._lowest = 0  # no organization is in a lower bucket
        self.in_flight = 0

    def add(self, organization: int, endpoint: int) -> None:
        """Put the endpoint at the end of its organization's queues, unless it stands there."""
        queues = self._ready.get(organization)
        if queues is None:
            queues = self._ready[organization] = OrderedDict()
        queues.setdefault(endpoint)
        self._changed[organization] = None

    def remove(self, organization: int, endpoint: int) -> None:
        """Take the endpoint out, if it stands here."""
        queues = self._ready.get(organization)
        if queues is None:
            return
        queues.pop(endpoint, None)
        if not queues:
            del self._ready[organization]
        self._changed[organization] = None

    def count(self, organization: int, by: int) -> None:
        """Note that more or fewer attempts of the organization are in flight in this pool."""
        self.in_flight += by
        in_flight = self._in_flight_of.get(organization, 0) + by
        if in_flight:
            self._in_flight_of[organization] = in_flight
        else:
            self._in_flight_of.pop(organization, None)
        self._changed[organization] = None

    def next(self) -> int | None:
        """Return the endpoint that is next, which goes to the end of its queues."""
        for organization in self._changed:
            self._reschedule(organization)
        self._changed.clear()
        if not self._bucket_of:
            return None
        while not self._buckets[self._lowest]:
            self._lowest += 1
        queues = self._ready[next(iter(self._buckets[self._lowest]))]
        endpoint = next(iter(queues))
        queues.move_to_end(endpoint)
        return endpoint

    def changed(self, organization: int) -> None:
        """Note that the organization's total has changed."""
        self._changed[organization] = None

    def _reschedule(self, organization: int) -> None:
        is_ready = organization in self._ready and self._totals.get(organization, 0) < self.most
        bucket = self._in_flight_of.get(organization, 0) if is_ready else None
        before = self._bucket_of.get(organization)
        if bucket == before:
            return
        if before is not None:
            del self._buckets[before][organization], self._bucket_of[organization]
        if bucket is not None:
            self._buckets[bucket][organization] = None
            self._bucket_of[organization] = bucket
            self._lowest = min(self._lowest, bucket)
