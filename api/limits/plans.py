"""The plans of organizations: whether programs may use the API.

A plan is remembered for `FRESH_S`, so a change takes effect in every process within that time.
"""

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from api.http.problems import Problem
from db.core.connect import Pool
from db.resources import plans
from db.resources.plans import Plan, PlanName
from service.ttl_cache import LookupCache

FRESH_S = 2.0
REQUESTS_PER_MINUTE: Mapping[PlanName, int | None] = {
    "starter": 1_000,
    "team": 5_000,
    "unlimited": None,
}
LIVE_CONNECTIONS: Mapping[PlanName, int] = {
    "starter": 100,
    "team": 500,
    "unlimited": 2_000,
}
"""The most open WebSockets and event streams of an organization, over all processes."""
_MAX_PLANS = 10_000


def check_api_access(plan: Plan, operator_contact: str | None) -> None:
    """Raise Problem (403) if the plan includes neither API nor webhooks. operator_contact: who can
    change the plan.
    """
    if not plan.api_access:
        whom = f" Ask {operator_contact}." if operator_contact else ""
        contact = {"contact": operator_contact} if operator_contact else {}
        raise Problem(
            403,
            "plan_required",
            f"The plan {plan.name} has no API and no webhooks: they need the plan unlimited or the"
            f" API add-on.{whom}",
            more={"plan": plan.name, "needed_plan": "unlimited", "needed_addon": "api", **contact},
        )


class Plans:
    """The plans of the organizations that this process has seen."""

    def __init__(self, connections: Pool, clock: Callable[[], float]) -> None:
        self._connections = connections
        self._known = LookupCache[UUID, Plan](FRESH_S, _MAX_PLANS, clock)

    async def find(self, org_id: UUID) -> Plan:
        """Return the plan as it was at most FRESH_S ago.

        Raises what a look-up in the database may raise.
        """
        return await self._known.find(org_id, partial(self._ask, org_id))

    async def _ask(self, org_id: UUID) -> Plan:
        async with self._connections.connection() as conn:
            return await plans.find(conn, org_id)
