"""The plans of organizations: whether programs may use the API.

A plan is remembered for `FRESH_S`, so a change takes effect in every process within that time.
"""

from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from api.http.problems import Problem
from api.http.ttl_cache import LookupCache
from db.core.connect import Pool
from db.resources import plans
from db.resources.plans import Plan, PlanName

FRESH_S = 2.0
REQUESTS_PER_MINUTE: Mapping[PlanName, int | None] = {
    "starter": 1_000,
    "team": 5_000,
    "unlimited": None,
}
QUOTE_NUMBERS: Mapping[PlanName, int] = {
    "starter": 20_000,
    "team": 100_000,
    "unlimited": 1_000_000,
}
"""The quotes that an organization may ever make. Revisions do not count: each has at most 100."""
WORK_ORDERS: Mapping[PlanName, int] = {
    "starter": 100_000,
    "team": 1_000_000,
    "unlimited": 10_000_000,
}
"""The most work orders, deleted ones included, which are kept."""
INSPECTION_TEMPLATES: Mapping[PlanName, int] = {
    "starter": 200,
    "team": 1_000,
    "unlimited": 5_000,
}
"""The most templates of inspections, deleted ones included."""
INSPECTION_FORMS_A_DAY: Mapping[PlanName, int] = {
    "starter": 1_000,
    "team": 10_000,
    "unlimited": 50_000,
}
"""The most inspection forms that are made in any 24 hours."""
LIVE_CONNECTIONS: Mapping[PlanName, int] = {
    "starter": 100,
    "team": 500,
    "unlimited": 2_000,
}
"""The most open WebSockets and event streams of an organization in one process of the API."""
_MAX_PLANS = 10_000


def check_api_access(plan: Plan) -> None:
    """Raise Problem (403) if the plan includes neither API nor webhooks."""
    if not plan.api_access:
        raise Problem(
            403,
            "plan_required",
            f"The plan {plan.name} has no API and no webhooks: they need the plan unlimited or the"
            " API add-on.",
            more={"plan": plan.name, "needed_plan": "unlimited", "needed_addon": "api"},
        )


def check_quota(quota: str, limit: int, used: int) -> None:
    """Raise Problem (403) if an organization has as much of something as its plan allows."""
    if used >= limit:
        detail = f"The plan allows {limit} {quota.replace('_', ' ')}, which are used."
        more = {"quota": quota, "limit": limit, "used": used}
        raise Problem(403, "quota_exceeded", detail, more=more)


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
