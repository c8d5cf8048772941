"""Lists in the order that is asked for, with the fields that are asked for, while others write."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telemetry.ids import parse_id
from tests.api.problems import is_problem
from tests.api.request.plain import PLAIN
from tests.api.running import Client, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_refusal, store_visit

NAMED: dict[str, dict[str, Any]] = {
    "assets": {},
    "zones": {"geometry": square()},
    "employees": {},
    **{name: {} for name in PLAIN},
}
BY_TIME: dict[str, dict[str, Any]] = NAMED | {"trackers": {}, "gateways": {"kind": "traccar"}}
NAMES = ("beta", "Alpha", "alpha", "ALPHA 2", "Ärger", "zeta", "Émile", "beta", "10", "9", "ß", "~")
CASES = [(name, sort) for name in NAMED for sort in ("name", "-name")]
CASES += [(name, sort) for name in BY_TIME for sort in ("created_at", "-created_at")]


async def _make(client: Client, name: str, called: str) -> str:
    answer = await client.post(f"/v1/{name}", {"name": called, **BY_TIME[name]})
    assert answer.status == 201, answer.content
    return answer.json["id"]


@pytest.mark.parametrize("name", list(NAMED))
async def test_names_are_sorted_whatever_their_case_and_then_by_id(
    api: RunningApi, name: str
) -> None:
    org = api.organization("Named")
    for called in NAMES:
        await _make(org.admin, name, called)
    rows = await org.viewer.walk(f"/v1/{name}", sort="name", limit=5)
    prefix = rows[0]["id"].partition("_")[0]
    folded = [(row["name"].lower(), parse_id(prefix, row["id"])) for row in rows]
    assert folded == sorted(folded)
    assert len(rows) == len(NAMES)
    back = await org.viewer.walk(f"/v1/{name}", sort="-name", limit=5)
    assert [row["id"] for row in back] == [row["id"] for row in rows][::-1]


@pytest.mark.parametrize("name", list(BY_TIME))
async def test_the_oldest_come_first_where_that_is_asked(api: RunningApi, name: str) -> None:
    org = api.organization("Oldest")
    ids = [await _make(org.admin, name, f"x {number}") for number in range(5)]
    assert [row["id"] for row in await org.viewer.walk(f"/v1/{name}", limit=2)] == ids[::-1]
    walked = await org.viewer.walk(f"/v1/{name}", sort="created_at", limit=2)
    assert [row["id"] for row in walked] == ids


async def _check_both_ways(client: Client, path: str, sort: str, oldest_first: list[str]) -> None:
    for way, ids in (("", oldest_first), ("-", oldest_first[::-1])):
        walked = await client.walk(path, sort=way + sort, limit=2)
        assert [row["id"] for row in walked] == ids
        page = (await client.get(path, sort=way + sort, limit=1)).json
        other = {"": "-", "-": ""}[way] + sort
        refused = await client.get(path, sort=other, limit=1, cursor=page["next_cursor"])
        assert is_problem(refused, 400, "invalid_parameter")
    newest_first = await client.walk(path, limit=2)
    assert [row["id"] for row in newest_first] == oldest_first[::-1]


async def test_visits_are_sorted_by_when_they_began(api: RunningApi) -> None:
    org = api.organization("Visited")
    who, zone_id = await carried(org), await _make(org.admin, "zones", "x")
    times = [(3, 4), (1, 9), (5, 6), (1, 2)]
    made = {
        store_visit(api, org, who, zone_id, minute(start), minute(end)): start
        for start, end in times
    }
    oldest_first = sorted(made, key=lambda one: (made[one], parse_id("vis", one)))
    await _check_both_ways(org.viewer, "/v1/visits", "entered_at", oldest_first)


async def test_quarantine_is_sorted_by_when_it_was_last_received(api: RunningApi) -> None:
    org = api.organization("Refused")
    who = await carried(org)
    made = {
        store_refusal(api, org, who.tracker_id, b"x", minute(number)): number
        for number in (3, 1, 5, 1)
    }
    oldest_first = sorted(made, key=lambda one: (made[one], parse_id("qua", one)))
    await _check_both_ways(org.viewer, "/v1/quarantine", "last_received_at", oldest_first)


async def test_users_and_keys_are_sorted_by_when_they_were_made(api: RunningApi) -> None:
    org = api.organization("Staffed")
    rows = (await org.admin.get("/v1/users")).json["data"]
    oldest_first = sorted(rows, key=lambda row: (row["created_at"], parse_id("usr", row["id"])))
    assert len(rows) > 3
    ids = [row["id"] for row in oldest_first]
    await _check_both_ways(org.admin, "/v1/users", "created_at", ids)
    keys = [
        (await org.admin.post("/v1/api-keys", {"name": str(number)})).json["id"]
        for number in range(4)
    ]
    await _check_both_ways(org.admin, "/v1/api-keys", "created_at", keys)


async def test_webhook_endpoints_are_sorted_by_when_they_were_made(api: RunningApi) -> None:
    org = api.organization("Told")
    body = {"url": "https://hooks.example.com/x", "types": ["*"]}
    ids = [(await org.admin.post("/v1/webhook-endpoints", body)).json["id"] for _ in range(4)]
    await _check_both_ways(org.admin, "/v1/webhook-endpoints", "created_at", ids)


async def test_a_sort_that_a_list_does_not_have_is_a_400(north: Organization) -> None:
    for path, sort in (("assets", "make"), ("trackers", "name"), ("zones", "")):
        answer = await north.viewer.get(f"/v1/{path}", sort=sort)
        assert is_problem(answer, 400, "invalid_parameter")
        assert [fault["parameter"] for fault in answer.json["errors"]] == ["sort"]
    assert (await north.viewer.get("/v1/events", sort="seq")).json["code"] == "unknown_parameter"


async def test_a_cursor_is_bound_to_its_sort(north: Organization) -> None:
    for called in ("a", "b"):
        await _make(north.admin, "clients", called)
    cursors = {}
    for sort in ("name", "-name", "created_at", "-created_at"):
        page = await north.viewer.get("/v1/clients", sort=sort, limit=1)
        cursors[sort] = page.json["next_cursor"]
    for sort in cursors:
        for made_by, cursor in cursors.items():
            answer = await north.viewer.get("/v1/clients", sort=sort, cursor=cursor, limit=1)
            assert answer.status == (200 if sort == made_by else 400)


class _Writers:
    """The writers that make, change and delete rows of a list, at random, until they are told to
    stop.
    """

    def __init__(self, org: Organization, name: str, seed: int) -> None:
        self._org, self._name, self._random = org, name, random.Random(seed)
        self._gone: list[str] = []
        self.made = 0

    async def run(self, passing: list[str], staying: list[str]) -> None:
        while True:
            act = self._random.choice(self._acts())
            await act(passing, staying)

    def _acts(self) -> list[Callable[[list[str], list[str]], Awaitable[None]]]:
        return [self._add, self._add, self._change, self._remove]

    async def _add(self, passing: list[str], staying: list[str]) -> None:
        self.made += 1
        called = f"{self._random.choice(NAMES)} {self._random.random()}"
        passing.append(await _make(self._org.admin, self._name, called))

    async def _change(self, passing: list[str], staying: list[str]) -> None:
        """Change something else of a row that stays, the name of one that need not."""
        if self._name not in ("trackers", "gateways"):
            one, number = self._random.choice(staying), self._random.random()
            await self._org.admin.patch(f"/v1/{self._name}/{one}", {"external_id": f"E {number}"})
        if passing:
            one = self._random.choice(passing)
            called = {"name": f"{self._random.choice(NAMES)} again"}
            await self._org.admin.patch(f"/v1/{self._name}/{one}", called)

    async def _remove(self, passing: list[str], staying: list[str]) -> None:
        if passing and self._name not in ("trackers", "gateways"):
            one = passing.pop(self._random.randrange(len(passing)))
            await self._org.admin.delete(f"/v1/{self._name}/{one}")


@pytest.mark.parametrize(("name", "sort"), CASES)
async def test_what_stays_is_shown_once_while_others_write(
    api: RunningApi, name: str, sort: str
) -> None:
    org = api.organization("Busy")
    staying = [await _make(org.admin, name, NAMES[number % len(NAMES)]) for number in range(40)]
    passing = [await _make(org.admin, name, NAMES[number % len(NAMES)]) for number in range(20)]
    writers = [_Writers(org, name, seed) for seed in range(3)]
    tasks = [asyncio.create_task(writer.run(passing, staying)) for writer in writers]
    choice, shown = random.Random(sort), []
    page = (await org.viewer.get(f"/v1/{name}", sort=sort, limit=3)).json
    while True:
        shown += [row["id"] for row in page["data"]]
        if page["next_cursor"] is None or len(shown) > 2_000:
            break
        cursor, limit = page["next_cursor"], choice.randint(1, 4)
        page = (await org.viewer.get(f"/v1/{name}", sort=sort, limit=limit, cursor=cursor)).json
        if all(one in shown for one in staying):  # what is made ahead of the walk never ends
            break
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
    counts = {one: shown.count(one) for one in staying}
    assert counts == dict.fromkeys(staying, 1)
    assert sum(writer.made for writer in writers) > 0


async def test_only_the_fields_that_are_asked_for_are_shown(north: Organization) -> None:
    await _make(north.admin, "assets", "x")
    whole = (await north.viewer.get("/v1/assets", limit=1)).json
    some = (await north.viewer.get("/v1/assets", limit=1, fields="name,id,tags")).json
    (row,) = whole["data"]
    assert some["data"] == [{"name": row["name"], "id": row["id"], "tags": row["tags"]}]
    assert list(some["data"][0]) == ["name", "id", "tags"]
    assert some["total"] == whole["total"]


async def test_fields_go_with_what_is_included_and_with_a_cursor(north: Organization) -> None:
    for called in ("a", "b"):
        await _make(north.admin, "assets", called)
    asked = {"include": "zone_ids", "fields": "zone_ids", "limit": 1}
    first = (await north.viewer.get("/v1/assets", **asked)).json
    assert first["data"] == [{"zone_ids": []}]
    second = await north.viewer.get("/v1/assets", cursor=first["next_cursor"], include="zone_ids")
    assert set(second.json["data"][0]) > {"id", "zone_ids"}


@pytest.mark.parametrize("fields", ["colour", "id,colour", "", ",", "id,", "id name", "ID"])
async def test_a_field_that_a_list_does_not_have_is_a_400(north: Organization, fields: str) -> None:
    for path in ("assets", "zones", "events", "audit-events", "trackers"):
        answer = await north.admin.get(f"/v1/{path}", fields=fields)
        assert is_problem(answer, 400, "invalid_parameter")
        assert [fault["parameter"] for fault in answer.json["errors"]] == ["fields"]


async def test_every_list_has_fields(api: RunningApi, north: Organization) -> None:
    document = (await api.anonymous.get("/openapi.json")).json
    for path, operations in document["paths"].items():
        parameters = {each["name"] for each in operations.get("get", {}).get("parameters", ())}
        if "cursor" in parameters and "{" not in path:
            assert "fields" in parameters, path
            answer = await north.admin.get(path, fields="no_such_field")
            assert is_problem(answer, 400, "invalid_parameter"), path
