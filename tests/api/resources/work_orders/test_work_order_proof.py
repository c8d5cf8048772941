"""What somebody signed for stays as it was, and an order can always be ended."""

import io
from typing import Any

import pytest
import pytest_asyncio
from pypdf import PdfReader

from telemetry.ids import parse_id
from tests.api.photos.pictures import photo
from tests.api.photos.uploading import upload
from tests.api.problems import is_problem
from tests.api.punching import Worker, worker
from tests.api.running import Answer, Organization, RunningApi
from tests.db.proving import put

BODIES: dict[str, Any] = {
    "cancel": {"reason": "Nobody wants it."},
    "complete": {"signer_name": "Peter Frei"},
    "cannot-complete": {"reason": "The part is missing."},
    "hold": {"reason": "It rains."},
}
TASKS = [{"text": "Grease", "done": False}, {"text": "Test", "done": False}]


@pytest.fixture(scope="module")
def org(api: RunningApi) -> Organization:
    """The organization of this module."""
    return api.organization("Signed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anna(api: RunningApi, org: Organization) -> Worker:
    """The technician of the organization."""
    return await worker(api, org)


async def _order(org: Organization, who: Worker, *verbs: str, **body: Any) -> str:
    """Return the path of a new work order, after these verbs."""
    order = {"title": "Grease the crane", "assignee_ids": [who.id], "checklist": TASKS} | body
    path = (await org.dispatcher.post("/v1/work-orders", order)).headers["Location"]
    for verb in verbs:
        assert (await _say(org, path, verb)).status == 200
    return path


async def _say(org: Organization, path: str, verb: str, body: Any = None) -> Answer:
    return await org.dispatcher.post(f"{path}/{verb}", body or BODIES.get(verb))


async def test_the_signature_of_an_order_is_an_image_of_it_and_stays(
    org: Organization, anna: Worker
) -> None:
    path = await _order(org, anna, "assign", "start")
    order_id = path.rpartition("/")[2]
    other_id = (await _order(org, anna)).rpartition("/")[2]
    note = await upload(org.technician, b"hello", "notes.txt", work_order_id=order_id)
    elsewhere = await upload(org.technician, photo(), work_order_id=other_id)
    image = await upload(org.technician, photo(), work_order_id=order_id)
    for file in (note, elsewhere):
        signed = BODIES["complete"] | {"signature_attachment_id": file.json["id"]}
        refused = await _say(org, path, "complete", signed)
        assert is_problem(refused, 422, "invalid_body")
        (fault,) = refused.json["errors"]
        assert fault["pointer"] == "/signature_attachment_id"
        assert fault["message"] == "must be an image of this work order"
    signed = BODIES["complete"] | {"signature_attachment_id": image.json["id"]}
    assert (await _say(org, path, "complete", signed)).status == 200
    files = "/v1/attachments/"
    refused = await org.admin.delete(files + image.json["id"])
    assert is_problem(refused, 409, "in_use")
    assert refused.json["detail"] == "A work order was signed with the attachment."
    await _say(org, path, "reopen")  # it is a record of what was signed then
    assert (await org.admin.delete(files + image.json["id"])).status == 409
    assert (await org.admin.delete(files + note.json["id"])).status == 204


async def test_an_open_checklist_marks_the_sign_off(org: Organization, anna: Worker) -> None:
    """The mark stays when the order is reopened and its checklist is done."""
    path = await _order(org, anna, "assign", "start")
    half = {"checklist": [TASKS[0] | {"done": True}, TASKS[1]]}
    status = {"status": "completed", "sign_off": BODIES["complete"]}
    assert (await org.technician.patch(path, half | status)).status == 200
    sheet = await org.viewer.get(path, {"Accept": "application/pdf"})
    said = "Signed with 1 of 2 items of the checklist not done."
    assert said in PdfReader(io.BytesIO(sheet.content)).pages[0].extract_text()
    for verb in ("reopen", "start"):
        await _say(org, path, verb)
    done = {"checklist": [task | {"done": True} for task in TASKS]}
    assert (await org.technician.patch(path, done)).status == 200
    await _say(org, path, "complete")
    ways = (await org.viewer.get(f"{path}/transitions")).json["data"]
    assert {way["open_tasks"] for way in ways if way["verb"] != "complete"} == {None}
    assert [way["open_tasks"] for way in ways if way["verb"] == "complete"] == [0, 1]
    sheet = await org.viewer.get(path, {"Accept": "application/pdf"})
    assert "not done" not in PdfReader(io.BytesIO(sheet.content)).pages[0].extract_text()


async def test_what_was_signed_for_does_not_change_until_it_is_reopened(
    org: Organization, anna: Worker
) -> None:
    path = await _order(org, anna, "assign", "start", "complete")
    done = [task | {"done": True} for task in TASKS]
    for change in ({"title": "Other"}, {"checklist": done}, {"assignee_ids": []}):
        refused = await org.admin.patch(path, change)
        assert is_problem(refused, 409, "illegal_move")
        assert refused.json["legal_verbs"] == ["close", "reopen"]
    assert (await org.technician.patch(path, {"checklist": done})).status == 409
    assert (await org.admin.patch(path, {"title": "Grease the crane"})).status == 200  # as it is
    cost = {"labour_cost_cents": 100, "currency": "CHF"}  # nobody signs for it
    assert (await org.dispatcher.patch(path, cost)).json["labour_cost_cents"] == 100
    await _say(org, path, "reopen")
    assert (await org.technician.patch(path, {"checklist": done})).status == 200
    assert (await org.admin.patch(path, {"title": "Other"})).json["title"] == "Other"


@pytest.mark.parametrize(
    ("verbs", "status", "back"),
    [
        (("assign", "start", "hold"), 204, None),
        (("assign", "cannot-complete"), 204, None),
        (("assign", "start", "complete"), 409, "reopen"),
        (("assign", "start", "complete", "close"), 409, "reopen"),
        (("cancel",), 409, "reopen"),
    ],
)
async def test_a_file_of_an_order_that_is_over_stays_until_it_is_reopened(
    org: Organization, anna: Worker, verbs: tuple[str, ...], status: int, back: str | None
) -> None:
    path = await _order(org, anna)
    image = await upload(org.dispatcher, photo(), work_order_id=path.rpartition("/")[2])
    for verb in verbs:
        assert (await _say(org, path, verb)).status == 200
    file = f"/v1/attachments/{image.json['id']}"
    answer = await org.dispatcher.delete(file)
    assert answer.status == status
    if back is not None:
        assert is_problem(answer, 409, "illegal_move")
        assert back in answer.json["legal_verbs"]
        assert (await _say(org, path, back)).status == 200
        assert (await org.dispatcher.delete(file)).status == 204


@pytest.mark.parametrize(
    ("texts", "status"),
    [
        (["Grease", "Test"], 200),
        (["Grease"], 403),
        (["Test", "Grease"], 403),
        (["Grease", "Test it"], 403),
        (["Grease", "Test", "More"], 403),
    ],
)
async def test_a_technician_ticks_items_and_changes_none(
    org: Organization, anna: Worker, texts: list[str], status: int
) -> None:
    path = await _order(org, anna, "assign")
    tasks = [{"text": each, "done": True} for each in texts]
    assert (await org.technician.patch(path, {"checklist": tasks})).status == status
    assert (await org.dispatcher.patch(path, {"checklist": tasks})).status == 200


@pytest.mark.parametrize(
    ("verbs", "ends"),
    [
        (("assign", "start"), "complete"),
        (("assign",), "cancel"),
        (("assign", "start"), "cannot-complete"),
        (("assign", "start", "complete"), "close"),
    ],
)
async def test_an_order_can_be_ended_however_many_ways_it_took(
    api: RunningApi, org: Organization, anna: Worker, verbs: tuple[str, ...], ends: str
) -> None:
    path = await _order(org, anna, *verbs)
    order_id = parse_id("wo", path.rpartition("/")[2])
    statement = (
        "INSERT INTO work_order_transitions (org_id, id, work_order_id, user_id, verb, from_state,"
        " state) SELECT org_id, gen_random_uuid(), work_order_id, user_id, 'assign', 'assigned',"
        " 'assigned' FROM work_order_transitions, generate_series(1, 500)"
        "  WHERE work_order_id = %s AND verb = 'create'"
    )
    put(api.database, (statement, (order_id,)))
    other = {"start": "hold", "assign": "start", "complete": "reopen"}[verbs[-1]]
    assert is_problem(await _say(org, path, other), 409, "too_many_transitions")
    assert (await _say(org, path, ends)).status == 200
