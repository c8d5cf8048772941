"""Quotas by plan: nothing goes beyond, whatever makes it, and the usage shows what there is."""

import asyncio
from collections import Counter
from typing import Any

import pytest
import pytest_asyncio

from db.core.ids import new_id
from db.resources import quotas as stored
from db.resources.kinds import KINDS
from db.resources.quotas import A_DAY, ATTACHMENT_BYTES, ROWS
from stack.cli.organizations.org import QUOTAS
from tests.api.belongings import Ids, new_body, one_of_everything, with_ids
from tests.api.photos.uploading import upload
from tests.api.running import Answer, Organization, RunningApi
from tests.db.rows import transaction

BATCHES = ("assets", "trackers", "zones")
# A quota of a day or a rate bounds these, or what they are made of has a quota.
BOUNDED_OTHERWISE = {
    "alerts",
    "commands",
    "events",
    "inspection_forms",
    "jobs",
    "punches",
    "stock_lots",
    "stock_movements",
    "unknown_devices",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(api: RunningApi, north: Organization) -> Ids:
    """The things that north has."""
    return await one_of_everything(api, north, "bounded")


async def quotas(org: Organization) -> dict[str, tuple[int, int]]:
    """Return limit and use by quota."""
    rows = (await org.viewer.get("/v1/organization/usage")).json["quotas"]
    return {each["quota"]: (each["limit"], each["used"]) for each in rows}


def use(api: RunningApi, org: Organization, table: str, stored: int) -> None:
    """Make an organization have that many rows, as far as they are counted."""
    api.sql(
        "INSERT INTO row_counts VALUES (%s, %s, 0, %s)"
        " ON CONFLICT (org_id, table_name) DO UPDATE SET stored = excluded.stored",
        org.org_id,
        table,
        stored,
    )


async def one_more(
    org: Organization, document: dict[str, Any], ids: Ids, table: str, path: str = ""
) -> Answer:
    """Ask for one more row of a table."""
    if table == "attachments":
        return await upload(org.admin, b"hello", zone_id=ids["zon"])
    path = path or f"/v1/{table.replace('_', '-')}"
    body = with_ids(new_body(document, path), ids)
    if table in ("employees", "trackers"):
        body = {"name": "x"}  # the example is somebody's, who has one
    if table == "users":
        body["email"] = f"{new_id()}@example.com"
    if table == "parts":
        body["number"] = f"{new_id()}"
    if table == "inventory":
        part = await org.admin.post("/v1/parts", {"number": f"{new_id()}", "name": "x"})
        body["part_id"] = part.json["id"]
    return await org.admin.post(path, body)


def test_every_kind_of_thing_has_a_quota() -> None:
    tables = {kind.table for kind in KINDS.values() if kind.table is not None}
    assert tables - ROWS.keys() == BOUNDED_OTHERWISE, "say them in db/resources/kinds.py"


@pytest.mark.parametrize("table", ROWS)
async def test_one_row_more_than_the_plan_has_room_for_is_refused(
    api: RunningApi, north: Organization, document: dict[str, Any], ids: Ids, table: str
) -> None:
    (before,) = api.sql(
        "SELECT stored FROM row_counts WHERE org_id = %s AND table_name = %s", north.org_id, table
    )
    limit = ROWS[table]["unlimited"]
    use(api, north, table, limit - 1)
    assert (await one_more(north, document, ids, table)).status == 201
    assert (await quotas(north))[table] == (limit, limit)
    refused = await one_more(north, document, ids, table)
    use(api, north, table, before[0] + 1)
    told = {name: refused.json.get(name) for name in ("code", "quota", "limit", "used")}
    expected = {"code": "quota_exceeded", "quota": table, "limit": limit, "used": limit}
    assert (refused.status, told) == (403, expected)


@pytest.mark.parametrize("table", BATCHES)
async def test_a_batch_is_refused_as_a_whole(
    api: RunningApi, document: dict[str, Any], table: str
) -> None:
    org = api.organization("Batch")
    limit = ROWS[table]["unlimited"]
    use(api, org, table, limit - 2)
    body = {"name": "x"}
    if table == "zones":
        body = {**new_body(document, "/v1/zones"), "name": "x"}
        body.pop("assets", None)
    refused = await org.admin.post(f"/v1/{table}/batch", [body] * 3)
    assert (refused.status, refused.json["quota"], refused.json["used"]) == (403, table, limit - 2)
    assert (await org.viewer.get(f"/v1/{table}")).json["data"] == []
    assert (await org.admin.post(f"/v1/{table}/batch", [body] * 2)).status == 201
    assert (await quotas(org))[table] == (limit, limit)


async def test_the_usage_shows_every_row_that_is_stored(
    api: RunningApi, north: Organization, ids: Ids
) -> None:
    org = api.organization("Counted")
    made = await one_of_everything(api, org, "counted")
    await one_of_everything(api, org, "counted")
    for path in (f"assets/{made['ast']}", f"clients/{made['cli']}", f"api-keys/{made['key']}"):
        await org.admin.delete(f"/v1/{path}")
    shown = await quotas(org)
    assert shown.keys() == ROWS.keys() | A_DAY.keys() | {ATTACHMENT_BYTES}
    for table in ROWS:
        statement = f"SELECT count(*) FROM {table} WHERE org_id = %s"
        (rows,) = api.sql(statement, org.org_id)[0]
        assert rows > 0
        assert shown[table] == (ROWS[table]["unlimited"], rows), table
    (kept,) = api.sql("SELECT bytes FROM attachment_usage WHERE org_id = %s", org.org_id)[0]
    assert shown[ATTACHMENT_BYTES] == (api.settings.attachments_quota_bytes, kept)
    for quota in A_DAY:
        assert shown[quota][0] == A_DAY[quota]["unlimited"]
        assert shown[quota][1] > 0, quota


async def test_a_list_without_filters_has_the_total_that_is_kept(
    api: RunningApi, north: Organization, ids: Ids
) -> None:
    gone = (await north.admin.post("/v1/clients", {"name": "x"})).json["id"]
    assert (await north.admin.delete(f"/v1/clients/{gone}")).status == 204
    for table in ROWS:
        path = f"/v1/{table.replace('_', '-')}"
        listed = (await north.admin.get(path, limit=1000)).json
        assert listed["total"] == len(listed["data"]) > 0, table


async def test_a_smaller_plan_has_smaller_quotas(api: RunningApi) -> None:
    org = api.organization("Small")
    for plan in ("starter", "team"):
        api.sql("UPDATE organizations SET plan = %s WHERE org_id = %s", plan, org.org_id)
        shown = await quotas(org)
        for quota, by_plan in (ROWS | A_DAY).items():
            assert shown[quota][0] == by_plan[plan]


async def test_of_a_thousand_parallel_creates_as_many_are_stored_as_there_is_room_for(
    api: RunningApi,
) -> None:
    org = api.organization("Parallel")
    await set_own(api, org, "clients", 30)
    turns = asyncio.Semaphore(100)

    async def create() -> Answer:
        async with turns:
            answer = await org.admin.post("/v1/clients", {"name": "x"})
            while answer.status == 429:  # on a busy machine it has waited too long for its turn
                answer = await org.admin.post("/v1/clients", {"name": "x"})
            return answer

    answers = await asyncio.gather(*(create() for _ in range(1_000)))
    assert Counter(answer.status for answer in answers) == {201: 30, 403: 970}
    assert {answer.json.get("code") for answer in answers} == {None, "quota_exceeded"}
    refused = next(answer for answer in answers if answer.status == 403)
    assert (refused.json["quota"], refused.json["limit"]) == ("clients", 30)
    assert api.sql("SELECT count(*) FROM clients WHERE org_id = %s", org.org_id) == [(30,)]
    assert (await quotas(org))["clients"] == (30, 30)


async def set_own(api: RunningApi, org: Organization, quota: str, most: int | None) -> None:
    async with transaction(api.database, "opsc_owner", org.org_id) as conn:
        await stored.set_own(conn, quota, most)


async def test_a_quota_that_is_set_for_one_organization_counts_whatever_its_plan(
    api: RunningApi, document: dict[str, Any]
) -> None:
    org, other = api.organization("Set"), api.organization("Unset")
    for quota in QUOTAS:
        await set_own(api, org, quota, 0)
    before = await quotas(other)
    assert {limit for limit, _ in (await quotas(org)).values()} == {0}
    assert 0 not in {limit for limit, _ in before.values()}
    for path, body in (
        ("/v1/assets", {"name": "x"}),
        ("/v1/assets/batch", [{"name": "x"}]),
        ("/v1/users", {"email": "x@example.com", "name": "x", "role": "viewer"}),
    ):
        answer = await org.admin.post(path, body)
        assert (answer.status, answer.json.get("code")) == (403, "quota_exceeded"), path
    limit = ROWS["assets"]["unlimited"]
    use(api, org, "assets", limit)
    for more, status in ((1, 201), (1, 403), (None, 403)):
        await set_own(api, org, "assets", more and limit + more)
        assert (await org.admin.post("/v1/assets", {"name": "x"})).status == status
    use(api, org, "assets", 1)
    for quota in QUOTAS:
        await set_own(api, org, quota, None)
    assert (await org.admin.post("/v1/assets", {"name": "x"})).status == 201
    assert {name: limit for name, (limit, _) in (await quotas(org)).items()} == {
        name: limit for name, (limit, _) in before.items()
    }
