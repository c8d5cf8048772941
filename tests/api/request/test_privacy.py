"""Viewers and technicians read no hours but their own, and no customer's evidence, on any way.

What is tried comes from the OpenAPI document: each operation, with ids of things whose private
parts have texts that stand nowhere else. So a new operation is tried without a word here. Live
events are in `tests/api/live/test_who_sees.py`, pictures in PDFs with the work orders.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.api.belongings import Ids, one_of_everything
from tests.api.mailbox import Mailbox
from tests.api.photos.pictures import signature
from tests.api.photos.uploading import upload
from tests.api.punching import Worker, by_hand, employee, worker
from tests.api.resources.quoting import CONSENT, data_url, form, png, sent
from tests.api.running import Organization, RunningApi
from tests.api.stored import store_event, store_refusal
from tests.api.test_tenants import body_of, guarded_operations, kind_of

pytestmark = pytest.mark.own_api

HOURS_EVENTS = ("employee.punched_in", "employee.punched_out", "punch.amended")
RESPONSE = "what the receiver answered"


class Private:
    """An organization, ids of things in it, and the texts that few may read."""

    def __init__(self, org: Organization, own: Mapping[str, Worker], ids: Ids) -> None:
        self.org, self.own, self.ids = org, own, ids
        self.texts: dict[str, str] = {name: ids[name] for name in ("pun", "shf", "tms", "adj")}

    def in_(self, content: bytes) -> list[str]:
        """Return what an answer tells of it."""
        return [name for name, text in self.texts.items() if text.encode() in content]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


@pytest.fixture
async def private(api: RunningApi, org: Organization, mailbox: Mailbox) -> Private:
    """Things with private parts, all of somebody else."""
    own = {role: await worker(api, org, role) for role in ("viewer", "technician")}
    made = Private(org, own, await one_of_everything(api, org, "open"))
    await _punched(api, made)
    await _signed(api, made)
    await _accepted(api, made, mailbox)
    other = made.ids["emp"]
    file = await upload(org.admin, b"Private.", "contract.pdf", employee_id=other)
    made.texts["file of an employee"] = file.json["id"]
    made.ids["att"] = file.json["id"]
    return made


async def _punched(api: RunningApi, made: Private) -> None:
    """Add events about hours, a punch that was refused, and what a receiver made of an event."""
    org, other = made.org, made.ids["emp"]
    for number, kind in enumerate(HOURS_EVENTS, 100):
        data = {"employee_id": other, "note": f"private {kind}"}
        made.ids["evt"] = store_event(api, org, number, kind, data)
        made.texts[kind] = f"private {kind}"
    refused = store_refusal(api, org, made.ids["trk"], b"private refused punch")
    api.sql(
        "UPDATE quarantine SET topic = replace(topic, 'fixes', 'punches') WHERE org_id = %s",
        org.org_id,
    )
    made.ids["qua"] = refused
    made.texts["refused punch"] = refused
    api.sql("UPDATE webhook_deliveries SET attempts = 1 WHERE org_id = %s", org.org_id)
    api.sql(
        "INSERT INTO webhook_attempts (org_id, delivery_id, attempted_at, status, duration_ms,"
        " response_body) SELECT org_id, id, now(), 200, 5, %s"
        " FROM webhook_deliveries WHERE org_id = %s",
        RESPONSE,
        org.org_id,
    )
    made.texts["answer of a receiver"] = RESPONSE


async def _signed(api: RunningApi, made: Private) -> None:
    """Complete two work orders: one is signed by a drawing, one with a file."""
    org = made.org
    for way in ("drawing", "signed file"):
        body = {"title": "Grease", "assignee_ids": [await employee(org)]}
        order = (await org.admin.post("/v1/work-orders", body)).json
        path = f"/v1/work-orders/{order['id']}"
        assert (await org.admin.post(f"{path}/start", None)).status == 200
        drawn = signature((200, 80))
        sign: dict[str, Any] = {"signature": base64.b64encode(drawn).decode()}
        text = sign["signature"]
        if way == "signed file":
            file = await upload(org.admin, drawn, "s.png", work_order_id=order["id"])
            text = file.json["id"]
            sign = {"signature_attachment_id": text}
            made.texts[way] = text
        else:
            made.texts[way] = text[:200]
        done = await org.admin.post(f"{path}/complete", {"signer_name": "Peter Frei"} | sign)
        assert done.status == 200, done.json
        made.ids["wo"] = order["id"]
        if way == "drawing":
            made.ids["signed"] = order["id"]


async def _accepted(api: RunningApi, made: Private, mailbox: Mailbox) -> None:
    """Let a customer accept a quote."""
    quote, path = await sent(made.org, mailbox)
    thanks = await form(api, f"{path}/accept", **CONSENT, signature=data_url(png()))
    assert thanks.status == 200
    shown = (await made.org.admin.get(f"/v1/quotes/{quote['id']}")).json
    made.ids["quo"] = quote["id"]
    for entry in shown["evidence"]:
        made.texts[f"evidence {entry['kind']}"] = entry["sha256"]
    made.texts["signature of a quote"] = base64.b64encode(png()).decode()


def ways(
    document: dict[str, Any], ids: Ids, methods: set[str]
) -> Iterator[tuple[str, str, dict[str, str], dict[str, str], Any]]:
    """Yield the requests of the document: method, path, query, headers and body."""
    for method, path, operation in guarded_operations(document):
        if method not in methods or path == "/v1/events/stream":
            continue
        parameters = operation.get("parameters", ())
        kinds = {each["name"]: kind_of(each) or "" for each in parameters if each["in"] == "path"}
        body = body_of(operation, document, ids)
        includes = next((each for each in parameters if each["name"] == "include"), None)
        queries: list[dict[str, str]] = [{}]
        if includes is not None:
            schema = includes["schema"]
            values = (
                schema.get("enum") or [schema.get("const")]
                if "anyOf" not in schema
                else [
                    value
                    for one in schema["anyOf"]
                    for value in one.get("enum", [one["const"]] if "const" in one else [])
                ]
            )
            queries += [{"include": value} for value in values if value]
        if any(each["name"] == "limit" for each in parameters):
            queries = [{"limit": "100"} | query for query in queries]
        types = operation["responses"].get("200", {}).get("content", {"application/json": {}})
        orders = [ids["wo"], ids["signed"]] if "wo" in kinds.values() else [""]
        for order in orders:
            chosen = ids | ({"wo": order} if order else {})
            filled = path.format(**{name: chosen[kind] for name, kind in kinds.items()})
            for query in queries:
                for media_type in types:
                    yield method, filled, query, {"Accept": media_type}, body


@pytest.mark.parametrize("role", ["viewer", "technician"])
async def test_no_operation_tells_what_is_private(
    document: dict[str, Any], private: Private, role: str
) -> None:
    caller = getattr(private.org, role)
    told: dict[str, list[str]] = {}
    asked = list(ways(document, private.ids, {"GET"}))
    assert len(asked) > 80
    asked += ways(document, private.ids, {"POST", "PUT", "PATCH", "DELETE"})
    for method, path, query, headers, body in asked:
        options = {} if body is None else {"json": body}
        answer = await caller.send(method, path, headers=headers, params=query, **options)
        assert answer.status < 500, (path, answer.content)
        named = {name for name, text in private.texts.items() if text in f"{path} {body}"}
        if found := sorted(set(private.in_(answer.content)) - named):
            told[f"{method} {path} {query} {headers}"] = found
    assert told == {}


async def test_an_admin_is_told_all_of_it(document: dict[str, Any], private: Private) -> None:
    """So each text stands in an answer that the test above looks at."""
    unseen = set(private.texts)
    for method, path, query, headers, _ in ways(document, private.ids, {"GET"}):
        answer = await private.org.admin.send(method, path, headers=headers, params=query)
        unseen -= set(private.in_(answer.content))
    assert unseen == set()


@pytest.mark.parametrize("role", ["viewer", "technician"])
async def test_everybody_reads_their_own_hours(private: Private, role: str) -> None:
    org, me = private.org, private.own[role]
    mine = (await by_hand(org, me.id)).json["id"]
    caller = getattr(org, role)
    punches = (await caller.get("/v1/punches")).json
    assert ([punch["id"] for punch in punches["data"]], punches["total"]) == ([mine], 1)
    assert (await caller.get(f"/v1/punches/{mine}")).status == 200
    for path in ("/v1/shifts", "/v1/timesheets"):
        rows = (await caller.get(path)).json["data"]
        assert {row["employee_id"] for row in rows} == {me.id}, path
        assert (await caller.get(path, employee_id=me.id)).json["data"] == rows
    for row in rows:  # the timesheets
        for form_ in ("application/json", "text/csv", "application/pdf"):
            shown = await caller.get(f"/v1/timesheets/{row['id']}", {"Accept": form_})
            assert shown.status == 200


@pytest.mark.parametrize("role", ["viewer", "technician"])
async def test_hours_of_others_are_refused_by_name(private: Private, role: str) -> None:
    caller, ids = getattr(private.org, role), private.ids
    for path in (
        f"/v1/punches/{ids['pun']}",
        f"/v1/timesheets/{ids['tms']}",
        f"/v1/events/{ids['evt']}",
        f"/v1/quotes/{ids['quo']}/evidence",
        f"/v1/attachments/{ids['att']}",
        f"/v1/attachments/{ids['att']}/content",
        f"/v1/quarantine/{ids['qua']}",
        *(f"/v1/{name}?employee_id={ids['emp']}" for name in ("punches", "shifts", "timesheets")),
    ):
        assert (await caller.get(path)).status == 403, path


async def test_a_viewer_who_is_no_employee_reads_no_hours(
    api: RunningApi, org: Organization
) -> None:
    await by_hand(org, await employee(org))
    for path in ("/v1/punches", "/v1/shifts", "/v1/timesheets"):
        assert (await org.viewer.get(path)).json["data"] == []
        assert (await org.dispatcher.get(path)).json["data"] != []
