"""The matrix of rights: what each role may do to what is its own, and to what is another's.

What is a user's own is what belongs to the employee that the user is linked to. Each line of RIGHTS
is an operation and the status that each of ROLES has. `tests/api/auth/test_scopes.py` has the
scopes of API keys, `tests/api/test_tenants.py` other organizations.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from tests.api.photos.uploading import upload
from tests.api.punching import Worker, by_hand, employee, jobsite, new_user, worker
from tests.api.resources.quoting import draft
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.stocked import stocked

FIRST_MONDAY = date(2020, 1, 6)
_weeks = count()  # a timesheet of its own for each test
VERB_BODIES = {
    "hold": {"reason": "It rains."},
    "cancel": {"reason": "Nobody wants it."},
    "cannot-complete": {"reason": "The part is missing."},
    "complete": {"signer_name": "Peter Frei"},
}
ROLES = ("viewer", "technician", "dispatcher", "admin")


@dataclass(frozen=True, slots=True)
class Place:
    """An organization where each role is an employee, and somebody else is too."""

    org: Organization
    own: Mapping[str, Worker]
    other: Worker

    async def timesheet_of(self, who: Worker, *verbs: str) -> str:
        """Return the path of a new timesheet of an employee, after these verbs."""
        day = FIRST_MONDAY + timedelta(weeks=next(_weeks))
        for kind, hour in (("in", 7), ("out", 15)):
            time = datetime.combine(day, time_of_day(hour), UTC)
            await by_hand(self.org, who.id, kind=kind, time=time.isoformat())
        rows = await self.org.admin.get(
            "/v1/timesheets", employee_id=who.id, from_=day, to=day + timedelta(days=1)
        )
        path = f"/v1/timesheets/{rows.json['data'][0]['id']}"
        caller = self.org.dispatcher if who is not self.own["dispatcher"] else self.org.admin
        for verb in verbs:
            answer = await caller.post(f"{path}/{verb}", None)
            assert answer.status == 200, answer.json
        return path

    async def order_of(self, who: Worker, *verbs: str) -> str:
        """Return the path of a new work order of an employee, after these verbs."""
        order = {"title": "Grease the crane", "assignee_ids": [who.id]}
        order |= {"checklist": [{"text": "x"}]}
        path = (await self.org.admin.post("/v1/work-orders", order)).headers["Location"]
        for verb in verbs:
            answer = await self.org.admin.post(f"{path}/{verb}", VERB_BODIES.get(verb))
            assert answer.status == 200, answer.json
        return path

    async def punch_of(self, who: Worker) -> str:
        """Return a new punch of an employee, which the dispatcher enters."""
        return (await by_hand(self.org, who.id)).json["id"]


Ask = Callable[[Place, Client, Worker], Awaitable[Answer]]
"""An operation of a caller on what belongs to an employee."""


async def _punch(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post("/v1/punches", who.claim())


async def _punch_with_a_reason(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post("/v1/punches", who.claim() | {"reason": "forgotten"})


async def _review(place: Place, caller: Client, who: Worker) -> Answer:
    path = f"/v1/punches/{await place.punch_of(who)}/review"
    return await caller.post(path, {"decision": "accept"})


async def _list_punches(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get("/v1/punches", employee_id=who.id)


async def _get_punch(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get(f"/v1/punches/{await place.punch_of(who)}")


async def _give_a_tracker(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post("/v1/trackers", {"employee_id": who.id})


async def _list_shifts(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get("/v1/shifts", employee_id=who.id)


async def _list_timesheets(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get("/v1/timesheets", employee_id=who.id)


async def _get_timesheet(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get(await place.timesheet_of(who))


async def _adjust(place: Place, caller: Client, who: Worker) -> Answer:
    path = await place.timesheet_of(who)
    day = (await place.org.admin.get(path)).json["first_day"]
    body = {"day": day, "seconds": 60, "reason": "Loading."}
    return await caller.post(f"{path}/adjustments", body)


async def _make_template(place: Place, caller: Client, who: Worker) -> Answer:
    questions = [{"id": "brakes", "type": "pass_fail", "label": "Do the brakes hold?"}]
    body = {"name": "Daily", "sections": [{"title": "Chassis", "questions": questions}]}
    return await caller.post("/v1/inspection-templates", body)


async def _inspect(place: Place, caller: Client, who: Worker, **more: Any) -> Answer:
    form = {
        "template_id": (await _make_template(place, place.org.admin, who)).json["id"],
        "employee_id": who.id,
        "answers": {"brakes": {"value": "pass"}},
    }
    return await caller.post("/v1/inspection-forms", form | more)


async def _draft(place: Place, who: Worker) -> str:
    """Return the path of a draft of an employee, which somebody else made."""
    caller = place.org.dispatcher if who is not place.own["dispatcher"] else place.org.admin
    form = await _inspect(place, caller, who, status="draft")
    return f"/v1/inspection-forms/{form.json['id']}"


async def _change_inspection(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.patch(await _draft(place, who), {"answers": {}})


async def _submit_inspection(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post(f"{await _draft(place, who)}/submit", None)


async def _correct_inspection(place: Place, caller: Client, who: Worker) -> Answer:
    path = await _draft(place, who)
    old = (await place.org.admin.post(f"{path}/submit", None)).json
    form = {"template_id": old["template_id"], "supersedes_id": old["id"]}
    return await caller.post("/v1/inspection-forms", form | {"answers": old["answers"]})


def _say(verb: str, *before: str) -> Ask:
    """Return the operation that says a verb, after others were said."""

    async def ask(place: Place, caller: Client, who: Worker) -> Answer:
        return await caller.post(f"{await place.timesheet_of(who, *before)}/{verb}", None)

    ask.__name__ = "_".join(("", verb, *(("after", *before) if before else ())))
    return ask


def _set(status: str, *before: str) -> Ask:
    """Return the operation that sets a status, after verbs were said."""

    async def ask(place: Place, caller: Client, who: Worker) -> Answer:
        path = await place.timesheet_of(who, *before)
        return await caller.patch(path, {"approval_status": status})

    ask.__name__ = f"_set_{status}"
    return ask


def _order(verb: str, *before: str) -> Ask:
    """Return the operation that says a verb to a work order, after others were said."""

    async def ask(place: Place, caller: Client, who: Worker) -> Answer:
        return await caller.post(
            f"{await place.order_of(who, *before)}/{verb}", VERB_BODIES.get(verb)
        )

    ask.__name__ = f"_{verb}_an_order"
    return ask


def _order_patch(body: dict[str, Any], *before: str) -> Ask:
    """Return the operation that changes a work order, after verbs were said."""

    async def ask(place: Place, caller: Client, who: Worker) -> Answer:
        return await caller.patch(await place.order_of(who, *before), body)

    ask.__name__ = f"_change_{'_'.join(body)}_of_an_order"
    return ask


async def _get_order(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get(await place.order_of(who))


async def _make_order(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post("/v1/work-orders", {"title": "x", "assignee_ids": [who.id]})


async def _delete_order(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.delete(await place.order_of(who))


async def _comment(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post(f"{await place.order_of(who)}/comments", {"text": "x"})


async def _plan_a_part(place: Place, caller: Client, who: Worker) -> Answer:
    part = await stocked(place.org)
    plan = {"part_id": part["parts"], "quantity": 1}
    return await caller.post(f"{await place.order_of(who)}/parts", plan)


async def _change_a_part(place: Place, caller: Client, who: Worker) -> Answer:
    made = await _plan_a_part(place, place.org.admin, who)
    return await caller.patch(made.headers["Location"], {"quantity": 2})


async def _use_a_part(place: Place, caller: Client, who: Worker) -> Answer:
    part, path = await stocked(place.org), await place.order_of(who, "assign")
    use = {"quantity": 1, "warehouse_id": part["warehouses"]}
    return await caller.post(f"{path}/parts/{part['parts']}/consume", use)


async def _return_a_part(place: Place, caller: Client, who: Worker) -> Answer:
    part, path = await stocked(place.org), await place.order_of(who, "assign")
    use = {"quantity": 1, "warehouse_id": part["warehouses"]}
    await place.org.admin.post(f"{path}/parts/{part['parts']}/consume", use)
    return await caller.post(f"{path}/parts/{part['parts']}/return", use)


async def _list_parts(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get(f"{await place.order_of(who)}/parts")


async def _get_part(place: Place, caller: Client, who: Worker) -> Answer:
    made = await _plan_a_part(place, place.org.admin, who)
    return await caller.get(made.headers["Location"])


async def _see_costs(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get(await place.order_of(who), include="costs")


async def _inspect_an_order(place: Place, caller: Client, who: Worker) -> Answer:
    order_id = (await place.order_of(who)).rsplit("/", 1)[1]
    return await _inspect(place, caller, who, employee_id=None, work_order_id=order_id)


async def _repair_a_defect(place: Place, caller: Client, who: Worker) -> Answer:
    failed = {"brakes": {"value": "fail"}}
    form = (await _inspect(place, place.org.admin, who, answers=failed)).json
    path = f"/v1/inspection-forms/{form['id']}/work-orders"
    return await caller.post(path, {"question_id": "brakes"})


async def _convert_a_quote(place: Place, caller: Client, who: Worker) -> Answer:
    quote = await draft(place.org)
    return await caller.post(f"/v1/quotes/{quote['id']}/convert", None)


async def _confirm_amounts(place: Place, caller: Client, who: Worker) -> Answer:
    quote = await draft(place.org)
    return await caller.post(f"/v1/quotes/{quote['id']}/confirm-amounts", None)


async def _end_a_link(place: Place, caller: Client, who: Worker) -> Answer:
    quote = await draft(place.org)
    return await caller.post(f"/v1/quotes/{quote['id']}/end-link", None)


async def _get_accepted_pdf(place: Place, caller: Client, who: Worker) -> Answer:
    quote = await draft(place.org)
    return await caller.get(f"/v1/quotes/{quote['id']}/accepted-pdf")


async def _withdraw_a_quote(place: Place, caller: Client, who: Worker) -> Answer:
    quote = await draft(place.org)
    return await caller.post(f"/v1/quotes/{quote['id']}/withdraw", None)


async def _attach(place: Place, caller: Client, who: Worker) -> Answer:
    order_id = (await place.order_of(who)).rpartition("/")[2]
    return await upload(caller, b"What was found.", "notes.txt", work_order_id=order_id)


async def _link(place: Place, caller: Client, who: Worker) -> Answer:
    """Ask for an employee who is linked to a new user."""
    return await caller.post("/v1/employees", {"name": "Ben", "user_id": await new_user(place.org)})


async def _relink(place: Place, caller: Client, who: Worker) -> Answer:
    """Ask for another user of an employee who has one."""
    other = who
    if who is place.other:
        user = await new_user(place.org)
        other = Worker(await employee(place.org, user_id=user), place.org.admin)
    user = await new_user(place.org)
    return await caller.patch(f"/v1/employees/{other.id}", {"user_id": user})


async def _unlink(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.patch(f"/v1/employees/{who.id}", {"user_id": None})


_ENDPOINTS = "/v1/webhook-endpoints"


async def _make_endpoint(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.post(_ENDPOINTS, {"url": "https://hooks.example.com/", "types": ["*"]})


def _endpoint(method: str, verb: str = "", body: Any = None) -> Ask:
    """Return the operation on a webhook endpoint."""

    async def ask(place: Place, caller: Client, who: Worker) -> Answer:
        made = await _make_endpoint(place, place.org.admin, who)
        path = made.headers["Location"]
        if verb == "restore":
            await place.org.admin.delete(path)
        return await caller.send(method, f"{path}/{verb}".rstrip("/"), json=body)

    ask.__name__ = f"_{method.lower()}_endpoint_{verb}".rstrip("_")
    return ask


def _delivery(method: str, verb: str = "", body: Any = None) -> Ask:
    """Return the operation on a delivery, which is a test."""

    async def ask(place: Place, caller: Client, who: Worker) -> Answer:
        made = await _make_endpoint(place, place.org.admin, who)
        path = f"{made.headers['Location']}/test"
        test = await place.org.admin.post(path, {"type": "stock.low"})
        path = f"/v1/webhook-deliveries/{test.json['id']}/{verb}"
        return await caller.send(method, path.rstrip("/"), json=body)

    ask.__name__ = f"_{method.lower()}_delivery_{verb}".rstrip("_")
    return ask


async def _list_endpoints(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get(_ENDPOINTS)


async def _list_deliveries(place: Place, caller: Client, who: Worker) -> Answer:
    return await caller.get("/v1/webhook-deliveries")


async def _leave(place: Place, caller: Client, who: Worker) -> Answer:
    """Ask for a last day of an employee, far ahead."""
    return await caller.patch(f"/v1/employees/{who.id}", {"left_on": "2099-12-31"})


_ALL_MAY = (200, 200, 200, 200)
_LEADS_MAY = (403, 403, 200, 200)
_OWN_MAY = (403, 200, 200, 200)
_ADMIN_MAY = (403, 403, 403, 200)

# The statuses of ROLES, in their order.
RIGHTS: list[tuple[Ask, str, tuple[int, int, int, int]]] = [
    (_punch, "own", (403, 201, 201, 201)),
    (_punch, "another's", (403, 403, 422, 422)),
    (_punch_with_a_reason, "own", (403, 422, 201, 201)),
    (_punch_with_a_reason, "another's", (403, 403, 201, 201)),
    (_review, "own", (403, 403, 403, 403)),
    (_review, "another's", (403, 403, 200, 200)),
    (_list_punches, "own", (200, 200, 200, 200)),
    (_list_punches, "another's", _LEADS_MAY),
    (_get_punch, "own", (200, 200, 200, 200)),
    (_get_punch, "another's", _LEADS_MAY),
    (_give_a_tracker, "own", (403, 403, 201, 201)),
    (_give_a_tracker, "another's", (403, 403, 201, 201)),
    (_link, "another's", (403, 403, 403, 201)),
    (_relink, "own", (403, 403, 403, 403)),
    (_relink, "another's", (403, 403, 403, 200)),
    (_unlink, "own", (403, 403, 403, 403)),
    (_unlink, "another's", (403, 403, 200, 200)),  # nobody is linked to them
    (_leave, "own", (403, 403, 403, 403)),
    (_leave, "another's", (403, 403, 200, 200)),
    (_list_shifts, "own", (200, 200, 200, 200)),
    (_list_shifts, "another's", _LEADS_MAY),
    (_list_timesheets, "own", (200, 200, 200, 200)),
    (_list_timesheets, "another's", _LEADS_MAY),
    (_get_timesheet, "own", (200, 200, 200, 200)),
    (_get_timesheet, "another's", _LEADS_MAY),
    (_adjust, "own", (403, 403, 201, 201)),
    (_adjust, "another's", (403, 403, 201, 201)),
    (_make_template, "own", (403, 403, 201, 201)),
    (_inspect, "own", (403, 201, 201, 201)),
    (_inspect, "another's", (403, 403, 201, 201)),
    (_change_inspection, "own", (403, 200, 200, 200)),
    (_change_inspection, "another's", (403, 403, 200, 200)),
    (_submit_inspection, "own", (403, 200, 200, 200)),
    (_submit_inspection, "another's", (403, 403, 200, 200)),
    (_correct_inspection, "own", (403, 201, 201, 201)),
    (_correct_inspection, "another's", (403, 403, 201, 201)),
    (_say("submit"), "own", (403, 200, 200, 200)),
    (_say("submit"), "another's", (403, 403, 200, 200)),
    (_say("approve", "submit"), "own", (403, 403, 403, 403)),
    (_say("approve", "submit"), "another's", (403, 403, 200, 200)),
    (_say("reject", "submit"), "own", (403, 403, 200, 200)),
    (_say("reject", "submit"), "another's", (403, 403, 200, 200)),
    (_say("lock", "submit", "approve"), "own", (403, 403, 403, 200)),
    (_say("lock", "submit", "approve"), "another's", (403, 403, 403, 200)),
    (_say("reopen", "submit"), "own", (403, 200, 200, 200)),
    (_say("reopen", "submit"), "another's", (403, 403, 200, 200)),
    (_say("reopen", "submit", "approve"), "own", (403, 403, 200, 200)),
    (_say("reopen", "submit", "approve"), "another's", (403, 403, 200, 200)),
    (_set("submitted"), "own", (403, 200, 200, 200)),
    (_set("submitted"), "another's", (403, 403, 200, 200)),
    (_set("approved", "submit"), "own", (403, 403, 403, 403)),
    (_set("approved", "submit"), "another's", (403, 403, 200, 200)),
    (_get_order, "own", _ALL_MAY),
    (_get_order, "another's", _ALL_MAY),
    (_make_order, "own", (403, 403, 201, 201)),
    (_delete_order, "own", (403, 403, 204, 204)),
    (_comment, "own", (403, 201, 201, 201)),
    (_comment, "another's", (403, 403, 201, 201)),
    (_plan_a_part, "own", (403, 403, 201, 201)),
    (_change_a_part, "own", _LEADS_MAY),
    (_use_a_part, "own", _OWN_MAY),
    (_use_a_part, "another's", _LEADS_MAY),
    (_return_a_part, "own", _OWN_MAY),
    (_return_a_part, "another's", _LEADS_MAY),
    (_list_parts, "another's", _ALL_MAY),
    (_get_part, "another's", _ALL_MAY),
    (_see_costs, "own", _LEADS_MAY),
    (_inspect_an_order, "own", (403, 201, 201, 201)),
    (_inspect_an_order, "another's", (403, 403, 201, 201)),
    (_repair_a_defect, "own", (403, 403, 201, 201)),
    (_convert_a_quote, "another's", (403, 403, 409, 409)),  # it is not accepted
    (_withdraw_a_quote, "another's", (403, 403, 409, 409)),  # no letter waits
    (_confirm_amounts, "another's", _ADMIN_MAY),
    (_end_a_link, "another's", (403, 403, 403, 409)),  # it is not accepted
    (_get_accepted_pdf, "another's", (403, 403, 404, 404)),  # a draft has none
    (_attach, "own", (403, 201, 201, 201)),
    (_attach, "another's", (403, 403, 201, 201)),
    (_order_patch({"title": "y"}), "own", _LEADS_MAY),
    (_order_patch({"title": "y"}), "another's", _LEADS_MAY),
    (_order_patch({"checklist": [{"text": "x", "done": True}]}), "own", _OWN_MAY),
    (_order_patch({"checklist": [{"text": "x", "done": True}]}), "another's", _LEADS_MAY),
    (_order_patch({"checklist": [{"text": "y"}]}), "own", _LEADS_MAY),
    (_order_patch({"checklist": []}), "own", _LEADS_MAY),
    (_order_patch({"status": "started"}, "assign"), "own", _OWN_MAY),
    (_order_patch({"status": "started"}, "assign"), "another's", _LEADS_MAY),
    (_order_patch({"status": "cancelled", "reason": "x"}), "own", _LEADS_MAY),
    (_order("assign"), "own", _LEADS_MAY),
    (_order("start", "assign"), "own", _OWN_MAY),
    (_order("start", "assign"), "another's", _LEADS_MAY),
    (_order("hold", "assign", "start"), "own", _OWN_MAY),
    (_order("hold", "assign", "start"), "another's", _LEADS_MAY),
    (_order("resume", "assign", "start", "hold"), "own", _OWN_MAY),
    (_order("resume", "assign", "start", "hold"), "another's", _LEADS_MAY),
    (_order("complete", "assign", "start"), "own", _OWN_MAY),
    (_order("complete", "assign", "start"), "another's", _LEADS_MAY),
    (_order("cannot-complete", "assign"), "own", _OWN_MAY),
    (_order("cannot-complete", "assign"), "another's", _LEADS_MAY),
    (_order("cancel"), "own", _LEADS_MAY),
    (_order("close", "assign", "start", "complete"), "own", _LEADS_MAY),
    (_order("reopen", "assign", "start", "complete"), "own", _LEADS_MAY),
    (_list_endpoints, "another's", _ALL_MAY),
    (_make_endpoint, "another's", (403, 403, 403, 201)),
    (_endpoint("GET"), "another's", _ALL_MAY),
    (_endpoint("PATCH", body={"description": "x"}), "another's", _ADMIN_MAY),
    (_endpoint("DELETE"), "another's", (403, 403, 403, 204)),
    (_endpoint("POST", "restore"), "another's", _ADMIN_MAY),
    (_endpoint("POST", "rotate", {}), "another's", _ADMIN_MAY),
    (_endpoint("POST", "recover", {"since": "2026-01-01T00:00:00Z"}), "another's", _ADMIN_MAY),
    (_endpoint("POST", "test", {"type": "stock.low"}), "another's", (403, 403, 403, 202)),
    (_endpoint("GET", "statistics"), "another's", _ALL_MAY),
    (_list_deliveries, "another's", _ALL_MAY),
    (_delivery("GET"), "another's", _ALL_MAY),
    (_delivery("POST", "resend"), "another's", (403, 403, 403, 202)),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(api: RunningApi) -> Place:
    """The organization of this module."""
    org = api.organization("Rights")
    await jobsite(org)
    own = {role: await worker(api, org, role) for role in ROLES}
    return Place(org, own, Worker(await employee(org), org.admin))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("ask", "whose", "statuses"),
    RIGHTS,
    ids=[f"{ask.__name__} {whose}" for ask, whose, _ in RIGHTS],
)
async def test_each_role_may_do_what_the_matrix_says(
    place: Place, role: str, ask: Ask, whose: str, statuses: tuple[int, ...]
) -> None:
    who = place.own[role] if whose == "own" else place.other
    answer = await ask(place, getattr(place.org, role), who)
    assert answer.status == statuses[ROLES.index(role)], answer.content
    if answer.status == 403:
        said: dict[str, Any] = answer.json
        assert said["code"] == "forbidden"
        assert said["detail"].endswith(".")
