"""Work orders of a test: made, moved and read through HTTP."""

from typing import Any

from tests.api.punching import employee
from tests.api.running import Answer, Organization, RunningApi

BODIES: dict[str, Any] = {
    "hold": {"reason": "It rains."},
    "cancel": {"reason": "Nobody wants it."},
    "cannot-complete": {"reason": "The part is missing."},
    "complete": {"signer_name": "Peter Frei"},
}

# The verbs that bring a new order to each state, from `assigned` but for those that nobody has.
WAYS: dict[str, tuple[str, ...]] = {
    "draft": (),
    "created": (),
    "assigned": (),
    "started": ("start",),
    "on_hold": ("start", "hold"),
    "completed": ("start", "complete"),
    "closed": ("start", "complete", "close"),
    "cancelled": ("cancel",),
    "cannot_complete": ("cannot-complete",),
}
NOBODYS = ("draft", "created", "cancelled")


async def made_order(org: Organization, **body: Any) -> dict[str, Any]:
    answer = await org.dispatcher.post("/v1/work-orders", {"title": "Grease the crane"} | body)
    assert answer.status == 201, answer.json
    return answer.json


async def say(org: Organization, order: dict[str, Any], verb: str, body: Any = None) -> Answer:
    given = BODIES.get(verb) if body is None else body
    return await org.dispatcher.post(f"/v1/work-orders/{order['id']}/{verb}", given)


async def moved(org: Organization, order: dict[str, Any], *verbs: str) -> dict[str, Any]:
    for verb in verbs:
        answer = await say(org, order, verb)
        assert answer.status == 200, answer.json
        order = answer.json
    return order


async def in_state(org: Organization, state: str) -> dict[str, Any]:
    begin = "draft" if state == "draft" else "created"
    assignee_ids = [] if state in NOBODYS else [await employee(org)]
    order = await made_order(org, assignee_ids=assignee_ids, status=begin)
    order = await moved(org, order, *WAYS[state])
    assert order["status"] == state
    return order


def order_events(api: RunningApi, org: Organization) -> list[tuple[str, dict[str, Any]]]:
    return api.sql(
        "SELECT type, data FROM events WHERE org_id = %s AND type LIKE 'work_order.%%'"
        " ORDER BY position",
        org.org_id,
    )


async def listed_ids(org: Organization, **filters: Any) -> list[str]:
    return [row["id"] for row in await org.viewer.walk("/v1/work-orders", **filters)]
