"""A line of lanes that may start an attempt, for the places of one pool.

A place that becomes free goes to the organization that has the fewest places of the pool (max-min
fairness). So neither many endpoints nor slow answers get an organization more than its share. The
lanes of one organization take turns. An organization that has as many attempts in flight as it may
have stands in no line.

No I/O and no clock, as in `webhooks.delivery.fair_queue`.
"""

from collections import OrderedDict
from collections.abc import Mapping


class Line:
    """Endpoints that may start an attempt, by organization.

    totals: attempts in flight of each organization, in all pools. most: the bound of these totals;
    an organization that has reached it starts no attempt from this line.
    """

    def __init__(self, totals: Mapping[int, int], most: int) -> None:
        self.most = most
        self._totals = totals
        self._flights: dict[int, int] = {}  # of this pool, by organization
        self._changed: dict[int, None] = {}  # organizations that `next` puts where they belong
        self._ready: dict[int, OrderedDict[int, None]] = {}
        # Organizations that may start an attempt, by their attempts in flight in this pool.
        self._places: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(most)]
        self._place: dict[int, int] = {}  # where an organization stands that may start an attempt
        self._first = 0  # no organization has a smaller place
        self.in_flight = 0

    def enter(self, organization: int, endpoint: int) -> None:
        """Put the endpoint at the end of its organization's lanes, unless it stands there."""
        lanes = self._ready.get(organization)
        if lanes is None:
            lanes = self._ready[organization] = OrderedDict()
        lanes.setdefault(endpoint)
        self._changed[organization] = None

    def leave(self, organization: int, endpoint: int) -> None:
        """Take the endpoint out, if it stands here."""
        lanes = self._ready.get(organization)
        if lanes is None:
            return
        lanes.pop(endpoint, None)
        if not lanes:
            del self._ready[organization]
        self._changed[organization] = None

    def count(self, organization: int, by: int) -> None:
        """Note that more or fewer attempts of the organization are in flight in this pool."""
        self.in_flight += by
        flights = self._flights.get(organization, 0) + by
        if flights:
            self._flights[organization] = flights
        else:
            self._flights.pop(organization, None)
        self._changed[organization] = None

    def next(self) -> int | None:
        """Return the endpoint whose turn it is, which goes to the end of its lanes."""
        for organization in self._changed:
            self._settle(organization)
        self._changed.clear()
        if not self._place:
            return None
        while not self._places[self._first]:
            self._first += 1
        lanes = self._ready[next(iter(self._places[self._first]))]
        endpoint = next(iter(lanes))
        lanes.move_to_end(endpoint)
        return endpoint

    def changed(self, organization: int) -> None:
        """Note that the organization's total has changed."""
        self._changed[organization] = None

    def _settle(self, organization: int) -> None:
        is_ready = organization in self._ready and self._totals.get(organization, 0) < self.most
        place = self._flights.get(organization, 0) if is_ready else None
        before = self._place.get(organization)
        if place == before:
            return
        if before is not None:
            del self._places[before][organization], self._place[organization]
        if place is not None:
            self._places[place][organization] = None
            self._place[organization] = place
            self._first = min(self._first, place)
