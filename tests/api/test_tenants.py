"""Two organizations that look alike never see a row of each other, whatever the route."""

from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

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
from tests.api.test_attachments import upload

ENDPOINT = {"url": "https://hooks.example.com/", "types": ["*"]}
LISTS = (
    "assets",
    "trackers",
    "zones",
    "gps-events",
    "quarantine",
    "visits",
    "events",
    "webhook-endpoints",
    "users",
    "api-keys",
    "clients",
    "sites",
    "employees",
    "gateways",
    "assets/positions",
    "attachments",
)
# What can be made again, as often as wanted.
ANOTHER: dict[str, Any] = {
    "webhook-endpoints": ENDPOINT,
    "api-keys": {"name": "Another"},
    "zones": {"name": "Yard", "geometry": square()},
    "clients": {"name": "Acme"},
    "sites": {"name": "Pit"},
    "employees": {"name": "Eve"},
    "gateways": {"name": "Traccar", "kind": "traccar"},
}
INVITED = {"email": "anna@example.com", "role": "viewer"}


@dataclass(frozen=True, slots=True)
class Belongings:
    """One of everything that an organization can have."""

    asset: str
    tracker: str
    zone: str
    refusal: str
    visit: str
    event: str
    endpoint: str
    client: str
    site: str
    employee: str
    gateway: str
    user: str
    key: str
    attachment: str


async def _one_of_everything(api: RunningApi, org: Organization) -> Belongings:
    who = await carried(org, "Truck 1")
    zone = {"name": "Yard", "external_id": "Z-1", "geometry": square()}
    zone_id = (await org.admin.post("/v1/zones", zone)).json["id"]
    store_fixes(api, org, who.tracker_id, [minute(number) for number in range(3)])
    client = (await org.admin.post("/v1/clients", ANOTHER["clients"])).json["id"]
    site = {"name": "Pit", "client_id": client, "zone_id": zone_id}
    site_id = (await org.admin.post("/v1/sites", site)).json["id"]
    employee = {"name": "Eve", "punch_rights": {"by": ["phone"], "site_ids": [site_id]}}
    return Belongings(
        asset=who.asset_id,
        tracker=who.tracker_id,
        zone=zone_id,
        refusal=store_refusal(api, org, who.tracker_id),
        visit=store_visit(api, org, who, zone_id, minute(0), minute(2)),
        event=store_event(api, org, 1, data={"asset_name": "Truck 1"}),
        endpoint=(await org.admin.post("/v1/webhook-endpoints", ENDPOINT)).json["id"],
        client=client,
        site=site_id,
        employee=(await org.admin.post("/v1/employees", employee)).json["id"],
        attachment=(await upload(org.admin, b"hello", site_id=site_id)).json["id"],
        gateway=(await org.admin.post("/v1/gateways", ANOTHER["gateways"])).json["id"],
        user=(await org.admin.post("/v1/users", INVITED)).json["id"],
        key=(await org.admin.post("/v1/api-keys", {"name": "Script"})).json["id"],
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(api: RunningApi, north: Organization) -> Belongings:
    """What north has."""
    return await _one_of_everything(api, north)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(api: RunningApi, south: Organization) -> Belongings:
    """What south has: the same."""
    return await _one_of_everything(api, south)


ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/v1/assets/{asset}", None),
    ("PATCH", "/v1/assets/{asset}", {"name": "ours now"}),
    ("DELETE", "/v1/assets/{asset}", None),
    ("POST", "/v1/assets/{asset}/restore", None),
    ("POST", "/v1/zones/{zone}/restore", None),
    ("POST", "/v1/webhook-endpoints/{endpoint}/restore", None),
    ("GET", "/v1/trackers/{tracker}", None),
    ("PATCH", "/v1/trackers/{tracker}", {"name": "ours now"}),
    ("PATCH", "/v1/trackers/{tracker}", {"asset_id": None}),
    ("POST", "/v1/trackers/{tracker}/rotate", None),
    ("POST", "/v1/trackers/{tracker}/revoke", None),
    ("GET", "/v1/zones/{zone}", None),
    ("PATCH", "/v1/zones/{zone}", {"name": "ours now"}),
    ("DELETE", "/v1/zones/{zone}", None),
    ("GET", "/v1/zones/{zone}/versions", None),
    ("GET", "/v1/quarantine/{refusal}", None),
    ("POST", "/v1/quarantine/{refusal}/release", None),
    ("DELETE", "/v1/quarantine/{refusal}", None),
    ("GET", "/v1/visits/{visit}", None),
    ("GET", "/v1/events/{event}", None),
    ("GET", "/v1/webhook-endpoints/{endpoint}", None),
    ("DELETE", "/v1/webhook-endpoints/{endpoint}", None),
    ("GET", "/v1/users/{user}", None),
    ("PATCH", "/v1/users/{user}", {"role": "admin"}),
    ("DELETE", "/v1/users/{user}", None),
    ("POST", "/v1/users/{user}/invitation", None),
    ("POST", "/v1/users/{user}/sign-out", None),
    ("GET", "/v1/api-keys/{key}", None),
    ("POST", "/v1/api-keys/{key}/rotate", {}),
    ("DELETE", "/v1/api-keys/{key}", None),
    ("GET", "/v1/gps-events?asset_id={asset}", None),
    ("GET", "/v1/gps-events?tracker_id={tracker}", None),
    ("GET", "/v1/gps-events?zone_id={zone}", None),
    ("GET", "/v1/quarantine?tracker_id={tracker}", None),
    ("GET", "/v1/visits?asset_id={asset}", None),
    ("GET", "/v1/visits?zone_id={zone}", None),
    ("POST", "/v1/trackers", {"asset_id": "{asset}"}),
    ("PATCH", "/v1/trackers/{own_tracker}", {"asset_id": "{asset}"}),
    *(
        (method, f"/v1/{path}{ending}", body)
        for path in ("clients/{client}", "sites/{site}", "employees/{employee}")
        for method, ending, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "ours now"}),
            ("DELETE", "", None),
            ("POST", "/restore", None),
        )
    ),
    ("GET", "/v1/attachments/{attachment}", None),
    ("GET", "/v1/attachments/{attachment}/content", None),
    ("DELETE", "/v1/attachments/{attachment}", None),
    *(
        ("GET", f"/v1/attachments?{kind}_id={{{kind}}}", None)
        for kind in ("asset", "site", "client", "employee", "zone")
    ),
    ("GET", "/v1/gateways/{gateway}", None),
    ("PATCH", "/v1/gateways/{gateway}", {"name": "ours now"}),
    ("POST", "/v1/gateways/{gateway}/rotate", None),
    ("POST", "/v1/gateways/{gateway}/revoke", None),
    *(
        ("GET", f"/v1/{path}", None)
        for filtered in ("assets", "assets/positions")
        for path in (
            filtered + "?client_id={client}",
            filtered + "?site_id={site}",
            filtered + "?zone_id={zone}",
        )
    ),
    ("POST", "/v1/assets", {"name": "x", "client_id": "{client}"}),
    ("POST", "/v1/assets", {"name": "x", "site_id": "{site}"}),
    ("PATCH", "/v1/assets/{own_asset}", {"client_id": "{client}"}),
    ("PATCH", "/v1/assets/{own_asset}", {"site_id": "{site}"}),
    ("GET", "/v1/sites?client_id={client}", None),
    ("GET", "/v1/sites?zone_id={zone}", None),
    ("POST", "/v1/sites", {"name": "x", "client_id": "{client}"}),
    ("POST", "/v1/sites", {"name": "x", "zone_id": "{zone}"}),
    ("PATCH", "/v1/sites/{own_site}", {"client_id": "{client}"}),
    ("PATCH", "/v1/sites/{own_site}", {"zone_id": "{zone}"}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_an_id_of_another_organization_is_a_404(
    north: Organization, ours: Belongings, theirs: Belongings, method: str, path: str, body: Any
) -> None:
    ids = {name: getattr(theirs, name) for name in Belongings.__slots__}
    ids |= {"own_tracker": ours.tracker, "own_site": ours.site, "own_asset": ours.asset}
    if body:
        body = {key: value and value.format(**ids) for key, value in body.items()}
    answer = await north.admin.send(method, path.format(**ids), json=body)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_every_route_with_an_id_is_in_the_list_above(api: RunningApi) -> None:
    document = (await api.anonymous.get("/openapi.json")).json
    with_ids = {
        (method.upper(), path.partition("{")[0])
        for path, operations in document["paths"].items()
        for method in operations
        if "{" in path
    }
    assert with_ids <= {(method, path.partition("{")[0]) for method, path, _ in ROUTES}


@pytest.mark.parametrize("kind", ["asset", "site", "client", "employee", "zone"])
async def test_nothing_is_attached_to_what_another_organization_has(
    north: Organization, theirs: Belongings, kind: str
) -> None:
    answer = await upload(north.admin, b"hello", **{f"{kind}_id": getattr(theirs, kind)})
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_an_id_of_another_organization_in_a_list_of_ids_is_a_422(
    north: Organization, ours: Belongings, theirs: Belongings
) -> None:
    body = {"punch_rights": {"by": ["phone"], "site_ids": [ours.site, theirs.site]}}
    for answer in (
        await north.admin.post("/v1/employees", {"name": "x"} | body),
        await north.admin.patch(f"/v1/employees/{ours.employee}", body),
    ):
        assert answer.status == 422
        (fault,) = answer.json["errors"]
        assert fault["pointer"] == "/punch_rights/site_ids/1"


async def test_what_others_tried_has_changed_nothing(
    south: Organization, theirs: Belongings
) -> None:
    assert (await south.viewer.get(f"/v1/zones/{theirs.zone}")).json["name"] == "Yard"
    assert (await south.viewer.get(f"/v1/assets/{theirs.asset}")).json["name"] == "Truck 1"
    tracker = (await south.viewer.get(f"/v1/trackers/{theirs.tracker}")).json
    assert (tracker["name"], tracker["asset_id"]) == ("Truck 1", theirs.asset)


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_shows_our_own_rows_alone(
    north: Organization, south: Organization, ours: Belongings, theirs: Belongings, name: str
) -> None:
    mine = (await north.admin.get(f"/v1/{name}")).json
    other = (await south.admin.get(f"/v1/{name}")).json
    assert mine["total"] == len(mine["data"]) > 0
    assert other["total"] == len(other["data"]) > 0
    assert not {row["id"] for row in mine["data"]} & {row["id"] for row in other["data"]}
    assert not any(getattr(theirs, kind) in str(mine["data"]) for kind in Belongings.__slots__)


@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_of_another_organization_is_a_400(
    api: RunningApi,
    north: Organization,
    south: Organization,
    ours: Belongings,
    theirs: Belongings,
    name: str,
) -> None:
    if name == "events":
        store_event(api, south, 2)
    elif name == "attachments":
        await upload(south.admin, b"hello", site_id=theirs.site)
    elif name in ANOTHER:
        await south.admin.post(f"/v1/{name}", ANOTHER[name])
    elif name == "visits":
        again = await carried(south)
        store_visit(api, south, again, theirs.zone, minute(5))
    elif name == "quarantine":
        store_refusal(api, south, theirs.tracker, b"another")
    else:
        again = await carried(south)
        store_fixes(api, south, again.tracker_id, [minute(0)])
    cursor = (await south.admin.get(f"/v1/{name}", limit=1)).json["next_cursor"]
    assert (await south.admin.get(f"/v1/{name}", limit=1, cursor=cursor)).status == 200
    assert (await north.admin.get(f"/v1/{name}", limit=1, cursor=cursor)).status == 400


async def test_the_same_names_do_not_collide(
    north: Organization, ours: Belongings, south: Organization, theirs: Belongings
) -> None:
    again = {"name": "Yard", "external_id": "Z-1", "geometry": square()}
    assert (await north.admin.post("/v1/zones", again)).status == 409
    assert (await south.admin.post("/v1/zones", again)).status == 409
