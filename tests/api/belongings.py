"""Things of every kind that an organization can have, and an id of each kind by its prefix.

A new kind is made here: `tests/api/test_tenants.py` and the audit try to reach from one
organization what this made for another, by every operation that takes such an id.
"""

from typing import Any

from tests.api.resources.test_attachments import upload
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import (
    carried,
    minute,
    store_connection,
    store_event,
    store_fixes,
    store_refusal,
    store_session,
    store_visit,
)

Ids = dict[str, str]


async def one_of_everything(api: RunningApi, org: Organization, name: str) -> Ids:
    """Create things of `org` whose texts have `name` in them. Calling it again makes others."""
    who = await carried(org, f"{name} truck")
    store_fixes(api, org, who.tracker_id, [minute(number) for number in range(3)])
    store_connection(api, org, who.tracker_id, lease_s=60)
    store_session(api, org, who.tracker_id)
    hook = {"url": f"https://{name}.example.com/", "types": ["*"]}
    zone = await _made(org, "zones", {"name": f"{name} yard", "geometry": square()})
    client = await _made(org, "clients", {"name": f"{name} client"})
    site = {"name": f"{name} pit", "client_id": client, "zone_id": zone}
    return {
        "org": org.id,
        "usr": await _made(org, "users", _invited(api, org, name)),
        "key": await _made(org, "api-keys", {"name": f"{name} script"}),
        "ast": who.asset_id,
        "trk": who.tracker_id,
        "zon": zone,
        "cli": client,
        "sit": await _made(org, "sites", site),
        "emp": await _made(org, "employees", {"name": f"{name} Eve"}),
        "att": (await upload(org.admin, name.encode(), zone_id=zone)).json["id"],
        "gtw": await _made(org, "gateways", {"name": f"{name} box", "kind": "traccar"}),
        "whe": await _made(org, "webhook-endpoints", hook),
        "qua": store_refusal(api, org, who.tracker_id, name.encode()),
        "vis": store_visit(api, org, who, zone, minute(0), minute(2)),
        "evt": store_event(api, org, _next_seq(api, org), data={"asset_name": f"{name} truck"}),
    }


async def _made(org: Organization, path: str, body: dict[str, Any]) -> str:
    answer = await org.admin.post(f"/v1/{path}", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def _invited(api: RunningApi, org: Organization, name: str) -> dict[str, Any]:
    rows = api.sql("SELECT count(*) FROM users WHERE org_id = %s", org.org_id)
    return {"email": f"{name}.{rows[0][0]}@example.com", "role": "viewer"}


def _next_seq(api: RunningApi, org: Organization) -> int:
    rows = api.sql("SELECT count(*) FROM events WHERE org_id = %s", org.org_id)
    return rows[0][0] + 1
