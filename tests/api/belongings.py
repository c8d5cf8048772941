"""One of everything that an organization can have, and its ids by prefix.

A new kind of thing is made here too: `tests/api/test_tenants.py` and the audit take from here what
they try to reach from another organization.
"""

from typing import Any

from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import (
    carried,
    minute,
    store_event,
    store_fixes,
    store_refusal,
    store_visit,
)

Ids = dict[str, str]


async def one_of_everything(api: RunningApi, org: Organization, name: str) -> Ids:
    """Things of `org` whose texts all have `name` in them."""
    who = await carried(org, f"{name} truck")
    fixes = [minute(number) for number in range(3)]
    store_fixes(api, org, who.tracker_id, fixes)
    zone = await _made(org, "zones", {"name": f"{name} yard", "geometry": square()})
    hook = {"url": f"https://{name}.example.com/", "types": ["*"]}
    return {
        "org": org.id,
        "ast": who.asset_id,
        "trk": who.tracker_id,
        "zon": zone,
        "qua": store_refusal(api, org, who.tracker_id, name.encode()),
        "vis": store_visit(api, org, who, zone, minute(0), minute(2)),
        "evt": store_event(api, org, _next_seq(api, org), data={"asset_name": f"{name} truck"}),
        "whe": await _made(org, "webhook-endpoints", hook),
    }


async def _made(org: Organization, path: str, body: dict[str, Any]) -> str:
    answer = await org.admin.post(f"/v1/{path}", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def _next_seq(api: RunningApi, org: Organization) -> int:
    rows = api.sql("SELECT count(*) FROM events WHERE org_id = %s", org.org_id)
    return rows[0][0] + 1
