"""The plans of organizations: the access of programs to the API.

A plan is remembered for `FRESH_S`: a change of it has its effect in every process within that time.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from api.http.problems import Problem
from db.core.connect import Pool
from db.resources import plans
from db.resources.plans import Plan, PlanName

FRESH_S = 2.0
REQUESTS_PER_MINUTE: Mapping[PlanName, int | None] = {
    "starter": 1_000,
    "team": 5_000,
    "unlimited": None,
}
_REMEMBERED = 10_000


def check_api_access(plan: Plan) -> None:
    """Raise Problem (403) where the plan has neither API nor webhooks."""
    if not plan.api_access:
        raise Problem(
            403,
            "plan_required",
            f"The plan {plan.name} has no API and no webhooks: they need the plan unlimited or the"
            " API add-on.",
            more={"plan": plan.name, "needed_plan": "unlimited", "needed_addon": "api"},
        )


class _Known(NamedTuple):
    until_s: float
    asking: asyncio.Task[Plan]

    def is_good(self, now_s: float) -> bool:
        if not self.asking.done():
            return True
        return now_s < self.until_s and not self.asking.cancelled() and not self.asking.exception()


class Plans:
    """The plans of the organizations that this process has seen recently."""

    def __init__(self, connections: Pool) -> None:
        self._connections = connections
        self._known: OrderedDict[UUID, _Known] = OrderedDict()

    async def find(self, org_id: UUID) -> Plan:
        """Return the plan as it was at most FRESH_S ago; requests that come at once share one
        look-up.

        Raises what a look-up in the database may raise.
        """
        now_s = time.monotonic()
        known = self._known.get(org_id)
        if known is None or not known.is_good(now_s):
            known = _Known(now_s + FRESH_S, asyncio.create_task(self._ask(org_id)))
            self._known[org_id] = known
            self._known.move_to_end(org_id)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return await asyncio.shield(known.asking)

    async def _ask(self, org_id: UUID) -> Plan:
        async with self._connections.connection() as conn:
            return await plans.find(conn, org_id)
