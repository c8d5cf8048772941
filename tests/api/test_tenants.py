"""Two organizations never see or change a row of each other, whatever the operation.

What is tried comes from the OpenAPI document: each operation, with an id of the other organization
in each place that takes one. So a new route is tried without a word here, and so is a new kind of
thing (`tests/api/belongings.py`).
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from api.openapi.examples import example_of
from db.core import listing
from tests.api.belongings import ID, Ids, one_of_everything, with_ids
from tests.api.photos.uploading import upload
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import square

pytestmark = pytest.mark.own_api

SECRET = "southernmost"
ID_PATTERN = re.compile(r"\^([a-z]+)_\[0-7\]")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request with one id of the other organization. `control` is the same with our own."""

    method: str
    path: str
    place: str
    theirs: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path} {self.place}"

    async def made_by(self, org: Organization) -> Answer:
        options: dict[str, Any] = {} if self.body is None else {"json": self.body}
        headers = self.headers
        if isinstance(self.body, str):  # a file
            options, headers = {"data": self.body}, {"Content-Type": "text/csv", **headers}
        return await org.admin.send(
            self.method, self.path, headers=headers, params=self.query, **options
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(api: RunningApi, north: Organization) -> Ids:
    """The things that north has."""
    await one_of_everything(api, north, "northern")
    return await one_of_everything(api, north, "northern")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theirs(api: RunningApi, south: Organization) -> Ids:
    """The things that south has: the same, under a name that nobody else has."""
    await one_of_everything(api, south, SECRET)
    return await one_of_everything(api, south, SECRET)


def guarded_operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the operations that want a token: method, path, operation."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["security"]:
                yield method.upper(), path, operation


def kind_of(parameter: dict[str, Any]) -> str | None:
    """Return the prefix of the ids that a parameter takes."""
    schema = parameter["schema"].get("items", parameter["schema"])
    found = ID_PATTERN.match(schema.get("pattern", ""))
    return found and found[1]


def places_of_ids(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield JSON pointer and prefix of each id in an example."""
    if isinstance(value, str) and (found := ID.fullmatch(value)):
        yield place, found[1]
    elif isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from places_of_ids(value[key], f"{place}/{key}")


def with_id(body: Any, place: str, text: str) -> Any:
    """Return the body with another id at a place."""
    changed = deepcopy(body)
    *way, last = place.strip("/").split("/")
    inner = changed
    for step in way:
        inner = inner[int(step) if isinstance(inner, list) else step]
    inner[int(last) if isinstance(inner, list) else last] = text
    return changed


def body_of(operation: dict[str, Any], document: dict[str, Any], ids: Ids) -> Any:
    """Return every field of the operation's JSON body, with ids that are there, or CSV."""
    contents = operation.get("requestBody", {}).get("content", {})
    if "text/csv" in contents:
        return contents["text/csv"]["schema"]["examples"][0]
    content = contents.get("application/json")
    if content is None:
        return None
    return with_ids(example_of(content["schema"], document), ids)


def attempts_of(
    document: dict[str, Any],
    method: str,
    path: str,
    operation: dict[str, Any],
    ours: Ids,
    theirs: Ids,
) -> Iterator[Attempt]:
    """Yield one for each place of the operation that takes an id."""
    parameters = [each for each in operation.get("parameters", ()) if kind_of(each)]
    needed = {
        each["name"]: str(each["schema"]["examples"][0])
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each.get("required")
    }
    kinds = {each["name"]: kind_of(each) or "" for each in parameters if each["in"] == "path"}
    body = body_of(operation, document, ours)
    our_path = path.format(**{name: ours[kind] for name, kind in kinds.items()})
    for name, kind in kinds.items():
        ids = {other: ours[its] for other, its in kinds.items()} | {name: theirs[kind]}
        for headers in ({}, {"If-Match": '"of-something-else"'}):
            place = f"path {name} {headers or ''}"
            yield Attempt(
                method, path.format(**ids), place, theirs[kind], body=body, headers=headers
            )
    for each in parameters:
        if each["in"] == "query":
            text = theirs[kind_of(each) or ""]
            query = needed | {each["name"]: text}
            yield Attempt(method, our_path, f"query {each['name']}", text, query, body)
    for place, kind in places_of_ids(body):
        changed = with_id(body, place, theirs[kind])
        yield Attempt(method, our_path, f"body {place}", theirs[kind], body=changed)


def rows_of(api: RunningApi, org: Organization) -> dict[str, str]:
    """Return a digest of all rows of an organization, by table, but for the counts of its own
    requests, which are written some seconds later.
    """
    tables = api.sql(
        "SELECT table_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE column_name = 'org_id'"
        " AND table_schema = 'public' AND table_type = 'BASE TABLE'"
        " AND table_name <> 'request_usage'"
    )
    assert len(tables) > 10
    return {
        table: api.sql(
            f"SELECT md5(coalesce(string_agg(t::text, ' ' ORDER BY t::text), ''))"
            f" FROM {table} t WHERE org_id = %s",
            org.org_id,
        )[0][0]
        for (table,) in tables
    }


def _is_refused(attempt: Attempt, answer: Answer) -> bool:
    if attempt.path == "/v1/zones/validate":  # it answers 200 with what making would refuse
        faults = answer.json["errors"]
        return [fault["message"] for fault in faults] == ["There is no such asset."]
    if attempt.path in ("/v1/timesheets/submit", "/v1/timesheets/approve"):  # a result for each
        faults = [each["error"]["status"] for each in answer.json["data"]]
        return faults == [404]
    return answer.status in (400, 404, 422)


async def test_no_operation_reaches_or_changes_what_is_of_another_organization(
    api: RunningApi,
    document: dict[str, Any],
    north: Organization,
    south: Organization,
    ours: Ids,
    theirs: Ids,
) -> None:
    before = rows_of(api, south)
    attempts = [
        attempt
        for method, path, operation in guarded_operations(document)
        for attempt in attempts_of(document, method, path, operation, ours, theirs)
    ]
    assert len(attempts) > 50
    wrong: dict[str, str] = {}
    for attempt in attempts:
        answer = await attempt.made_by(north)
        said = answer.content.decode()
        named = {SECRET, *theirs.values()} - {attempt.theirs}
        if not _is_refused(attempt, answer) or any(name in said for name in named):
            wrong[attempt.name] = f"{answer.status} {said}"
    assert wrong == {}
    assert rows_of(api, south) == before


async def test_the_same_requests_with_our_own_ids_are_not_refused_for_them(
    document: dict[str, Any], north: Organization, ours: Ids
) -> None:
    refused: dict[str, str] = {}
    for method, path, operation in guarded_operations(document):
        for attempt in attempts_of(document, method, path, operation, ours, ours):
            if attempt.headers or (attempt.place.startswith("path") and method != "GET"):
                continue
            if attempt.place == "body /to_warehouse_id":  # of a transfer alone, to another one
                continue
            if path.endswith("/accepted-pdf"):  # of a draft there is none
                continue
            if isinstance(attempt.body, dict):
                attempt.body.pop("to_warehouse_id", None)
            answer = await attempt.made_by(north)
            if answer.status not in (200, 201, 202, 409):
                refused[attempt.name] = f"{answer.status} {answer.content.decode()}"
    assert refused == {}


def lists_of(document: dict[str, Any]) -> list[str]:
    """Return the paths of all lists that need no id."""
    return [
        path
        for method, path, operation in guarded_operations(document)
        if method == "GET" and operation["operationId"].startswith("list") and "{" not in path
        if path != "/v1/event-types"  # the same for all
        if path not in ("/v1/trips", "/v1/stops")  # of one thing, which has to be ours
        if not path.startswith("/v1/reports/")  # tests/api/resources/reports
    ]


async def test_a_list_shows_our_own_rows_alone(
    document: dict[str, Any], north: Organization, south: Organization, ours: Ids, theirs: Ids
) -> None:
    for path in lists_of(document):
        mine, other = [await org.admin.get(path, limit=1000) for org in (north, south)]
        assert other.json["total"] == len(other.json["data"]) > 0, path
        rows = [str(row.get("id", row)) for row in other.json["data"]]
        assert not {*rows} & {str(row.get("id", row)) for row in mine.json["data"]}, path
        said = mine.content.decode()
        assert not any(name in said for name in {SECRET, *theirs.values()}), path


async def test_a_cursor_of_another_organization_is_a_400(
    document: dict[str, Any], north: Organization, south: Organization, ours: Ids, theirs: Ids
) -> None:
    for path in lists_of(document):
        cursor = (await south.admin.get(path, limit=1)).json["next_cursor"]
        assert cursor is not None, f"{path}: tests/api/belongings.py makes only one"
        assert (await south.admin.get(path, limit=1, cursor=cursor)).status == 200, path
        assert (await north.admin.get(path, limit=1, cursor=cursor)).status == 400, path


async def test_every_list_ends_a_page_early_where_its_rows_are_large(
    document: dict[str, Any], south: Organization, theirs: Ids, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {path: await south.admin.walk(path, limit=1000) for path in lists_of(document)}
    monkeypatch.setattr(listing, "MAX_PAGE_BYTES", 1)  # one row at least there always is
    for path, rows in whole.items():
        first = (await south.admin.get(path, limit=1000)).json
        assert first["limit"] == len(first["data"]) == 1 < first["total"] == len(rows), path
        walked = await south.admin.walk(path, limit=1000)
        assert _ids(walked) == _ids(rows), path
        refused = await south.admin.get(path, limit=1000, offset=0)
        assert (refused.status, refused.json["errors"][0]["parameter"]) == (400, "limit"), path
        by_offset = await south.admin.get(path, limit=1, offset=1)
        assert _ids(by_offset.json["data"]) == _ids(rows[1:2]), path


def _ids(rows: list[dict[str, Any]]) -> list[Any]:
    """Return the ids alone: of a page of one asset even an old position is looked up."""
    return [row.get("id", row) for row in rows]


@pytest.mark.parametrize(
    "kind", ["ast:asset_id", "sit:site_id", "cli:client_id", "emp:employee_id", "zon:zone_id"]
)
async def test_nothing_is_attached_to_what_another_organization_has(
    north: Organization, theirs: Ids, kind: str
) -> None:
    prefix, name = kind.split(":")
    answer = await upload(north.admin, b"hello", **{name: theirs[prefix]})
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_no_tracker_is_given_to_an_employee_of_another_organization(
    north: Organization, ours: Ids, theirs: Ids
) -> None:
    body = {"employee_id": theirs["emp"]}
    for answer, status in (
        (await north.admin.post("/v1/trackers", body), 404),
        (await north.admin.patch(f"/v1/trackers/{ours['trk']}", body), 404),
        (await north.admin.post("/v1/trackers/batch", [{}, body]), 422),
    ):
        assert answer.status == status
        (fault,) = answer.json["errors"]
        assert fault["pointer"].endswith("/employee_id")


async def test_an_id_of_another_organization_in_a_list_of_ids_is_a_422(
    north: Organization, ours: Ids, theirs: Ids
) -> None:
    body = {"punch_rights": {"by": ["phone"], "site_ids": [ours["sit"], theirs["sit"]]}}
    for answer in (
        await north.admin.post("/v1/employees", {"name": "x"} | body),
        await north.admin.patch(f"/v1/employees/{ours['emp']}", body),
    ):
        assert answer.status == 422
        (fault,) = answer.json["errors"]
        assert fault["pointer"] == "/punch_rights/site_ids/1"


async def test_the_same_names_do_not_collide(north: Organization, south: Organization) -> None:
    again = {"name": "Yard", "external_id": "Z-1", "geometry": square()}
    for org in (north, south):
        assert (await org.admin.post("/v1/zones", again)).status == 201
        assert (await org.admin.post("/v1/zones", again)).status == 409
