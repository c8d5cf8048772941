"""Inspections: versions, faults, rights, corrections and the event."""

import asyncio
from typing import Any

import pytest

from tests.api.auth.test_scopes import key
from tests.api.photos.uploading import upload
from tests.api.punching import worker
from tests.api.resources.inspecting import (
    BAD,
    GOOD,
    PNG,
    QUESTIONS,
    SECTIONS,
    faults,
    fill_in,
    submitted_events,
    template,
)
from tests.api.running import Organization, RunningApi


async def test_a_change_of_a_template_is_its_next_version_and_changes_no_form(
    api: RunningApi,
) -> None:
    org = api.organization("North")
    template_id = await template(org)
    path = f"/v1/inspection-templates/{template_id}"
    draft = (await fill_in(org.admin, template_id, status="draft")).json
    questions = [QUESTIONS[0] | {"id": "oil", "label": "Is there oil?"}]
    sections = [{"title": "Engine", "questions": questions}]
    changed = await org.dispatcher.patch(path, {"sections": sections})
    assert (changed.status, changed.json["version"], changed.json["questions"]) == (200, 2, 1)
    again = await org.dispatcher.patch(path, {"sections": sections})
    assert again.json["version"] == 2  # nothing is changed
    renamed = await org.dispatcher.patch(path, {"name": "Weekly"})
    assert renamed.json["version"] == 3
    assert renamed.json["sections"] == changed.json["sections"]
    versions = (await org.viewer.get(f"{path}/versions")).json["data"]
    assert [(each["version"], each["name"], each["questions"]) for each in versions] == [
        (3, "Weekly", 1),
        (2, "Daily", 1),
        (1, "Daily", 3),
    ]
    first = (await org.viewer.get(path, version=1)).json
    assert [each["id"] for each in first["sections"][0]["questions"]] == [
        "brakes",
        "wear",
        "picture",
    ]
    assert (await org.viewer.get(path, version=4)).status == 404
    done = await org.admin.post(f"/v1/inspection-forms/{draft['id']}/submit", None)
    assert done.json["template_version"] == 1
    assert done.json["template_name"] == "Daily"
    assert (await org.dispatcher.delete(path)).status == 204
    assert (await fill_in(org.admin, template_id)).status == 404
    assert (await org.viewer.get(f"/v1/inspection-forms/{draft['id']}")).status == 200
    assert (await org.dispatcher.post(f"{path}/restore", None)).json["version"] == 3


async def test_every_fault_of_a_template_has_its_place(api: RunningApi) -> None:
    org = api.organization("North")
    questions = [
        {"id": "a", "type": "choice", "label": "A", "options": ["x"]},
        {"id": "a", "type": "number", "label": "B", "minimum": 5, "maximum": 1},
        {
            "id": "b",
            "type": "text",
            "label": "C",
            "show_if": {"question_id": "c", "equals": "x"},
        },
        {"id": "c", "type": "date", "label": "D"},
    ]
    made = await org.admin.post(
        "/v1/inspection-templates",
        {"name": "x", "sections": [{"title": "T", "questions": questions}]},
    )
    assert faults(made).keys() == {
        "/sections/0/questions/0/options",
        "/sections/0/questions/1/id",
        "/sections/0/questions/1/maximum",
        "/sections/0/questions/2/show_if/question_id",
    }


async def test_a_form_with_faults_is_refused_with_all_of_them_and_not_stored(
    api: RunningApi,
) -> None:
    org = api.organization("North")
    template_id = await template(org)
    answers = {"wear": {"value": "much"}, "oil": {"value": "pass"}, "picture": {"value": ["x"]}}
    found = faults(await fill_in(org.admin, template_id, answers=answers))
    assert found.keys() == {
        "/answers/wear/value",
        "/answers/oil",
        "/answers/brakes",
        "/answers/wear",
        "/answers/picture/value/0",
    }
    assert (await org.viewer.get("/v1/inspection-forms")).json["total"] == 0
    assert submitted_events(api, org) == []


async def test_a_draft_is_changed_and_submitted_once_with_one_event(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    made = await fill_in(org.technician, template_id, status="draft", answers={})
    path = f"/v1/inspection-forms/{made.json['id']}"
    assert (made.json["status"], made.json["result"]) == ("draft", None)
    assert faults(await org.technician.post(f"{path}/submit", None)).keys() == {"/answers/brakes"}
    changed = await org.technician.patch(path, {"asset_id": asset_id, "answers": BAD})
    assert changed.json["failed_items"] == 1
    assert submitted_events(api, org) == []
    done = (await org.technician.post(f"{path}/submit", None)).json
    defect = {
        "question_id": "brakes",
        "label": "Do the brakes hold?",
        "note": "Pads are worn.",
    }
    shown = [defect | {"work_order_id": None}]
    assert (done["status"], done["result"], done["defects"]) == ("submitted", "failed", shown)
    assert (await org.technician.post(f"{path}/submit", None)).status == 409
    (event,) = submitted_events(api, org)
    assert event == {
        "form_id": done["id"],
        "work_order_id": None,
        "template_id": template_id,
        "template_name": "Daily",
        "template_version": 1,
        "asset_id": asset_id,
        "site_id": None,
        "employee_id": None,
        "supersedes_id": None,
        "submitted_by": done["submitted_by"],
        "result": "failed",
        "failed_items": [defect],
    }
    assert (await org.viewer.get(path)).json == done
    unchanged = await org.admin.patch(path, {})
    assert (unchanged.status, unchanged.json) == (200, done)
    refused = await org.admin.patch(path, {"answers": GOOD})
    assert (refused.status, refused.json["legal_verbs"]) == (409, [])


async def test_a_correction_supersedes_a_form_once(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    wrong = (await fill_in(org.technician, template_id, answers=BAD)).json
    other = await fill_in(org.admin, await template(org), supersedes_id=wrong["id"])
    assert faults(other).keys() == {"/supersedes_id"}
    late = (await fill_in(org.admin, template_id, supersedes_id=wrong["id"], status="draft")).json
    right = await fill_in(org.technician, template_id, supersedes_id=wrong["id"])
    assert right.status == 201, right.json
    assert right.json["result"] == "passed"
    old = (await org.viewer.get(f"/v1/inspection-forms/{wrong['id']}")).json
    assert (old["status"], old["superseded_by_id"]) == ("superseded", right.json["id"])
    assert old["answers"] == BAD
    assert (await fill_in(org.admin, template_id, supersedes_id=wrong["id"])).status == 409
    assert (await org.admin.post(f"/v1/inspection-forms/{late['id']}/submit", None)).status == 409
    assert len(submitted_events(api, org)) == 2


async def test_forms_are_listed_by_their_result(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    failed = (await fill_in(org.technician, template_id, answers=BAD)).json["id"]
    passed = (await fill_in(org.technician, template_id)).json["id"]
    await fill_in(org.technician, template_id, answers=BAD, status="draft")
    corrected = await fill_in(org.technician, template_id, supersedes_id=failed)

    async def listed(result: str, **more: str) -> list[str]:
        rows = await org.viewer.walk("/v1/inspection-forms", result=result, **more)
        assert {row["result"] for row in rows} <= {result}
        return [row["id"] for row in rows]

    assert await listed("failed") == [failed]
    assert await listed("failed", status="superseded") == [failed]
    assert await listed("failed", status="submitted") == []
    assert await listed("passed") == [corrected.json["id"], passed]
    assert (await org.viewer.get("/v1/inspection-forms", result="draft")).status == 400


async def test_a_technician_writes_what_is_their_own(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    anna = await worker(api, org, "technician")
    body = {"name": "Daily", "sections": SECTIONS}
    assert (await org.technician.post("/v1/inspection-templates", body)).status == 403
    assert (await fill_in(org.viewer, template_id)).status == 403
    of_anna = await fill_in(org.admin, template_id, employee_id=anna.id, status="draft")
    of_admin = await fill_in(org.admin, template_id, status="draft")
    path = "/v1/inspection-forms/{}/submit"
    assert (await org.technician.post(path.format(of_admin.json["id"]), None)).status == 403
    assert (await anna.client.post(path.format(of_anna.json["id"]), None)).status == 200
    other = (await org.admin.post("/v1/employees", {"name": "Ben"})).json["id"]
    assert (await fill_in(anna.client, template_id, employee_id=other)).status == 403
    assert (await fill_in(anna.client, template_id, employee_id=anna.id)).status == 201


@pytest.mark.parametrize(
    ("name", "expected"),
    [("asset_id", 1), ("site_id", 1), ("employee_id", 1), ("template_id", 2), ("status", 1)],
)
async def test_lists_are_filtered(api: RunningApi, name: str, expected: int) -> None:
    org = api.organization("North")
    fields = {
        "asset_id": (await org.admin.post("/v1/assets", {"name": "x"})).json["id"],
        "site_id": (await org.admin.post("/v1/sites", {"name": "x"})).json["id"],
        "employee_id": (await org.admin.post("/v1/employees", {"name": "x"})).json["id"],
    }
    template_id = await template(org)
    mine = await fill_in(org.admin, template_id, **fields)
    await fill_in(org.admin, template_id, status="draft")
    await fill_in(org.admin, await template(org))
    wanted = {**fields, "template_id": template_id, "status": "draft"}[name]
    found = (await org.viewer.get("/v1/inspection-forms", **{name: wanted})).json
    assert (found["total"], len(found["data"])) == (expected, expected)
    at = mine.json["created_at"]
    newer = await org.viewer.get("/v1/inspection-forms", from_=at)
    older = await org.viewer.get("/v1/inspection-forms", to=at)
    assert (newer.json["total"], older.json["total"]) == (3, 0)


async def test_templates_and_forms_have_quotas_by_plan(api: RunningApi) -> None:
    org = api.organization("North")
    api.sql(
        "UPDATE organizations SET plan = 'starter', api_addon = true WHERE org_id = %s", org.org_id
    )
    template_id = await template(org)
    api.sql(
        "WITH made AS (INSERT INTO inspection_templates (org_id, id, name, version)"
        " SELECT org_id, gen_random_uuid(), name, version FROM inspection_templates,"
        " generate_series(1, 198) WHERE org_id = %s RETURNING org_id, id, name)"
        " INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections,"
        " questions, created_by) SELECT made.org_id, made.id, 1, made.name, sections, questions,"
        " created_by FROM made JOIN inspection_template_versions AS kept USING (org_id)",
        org.org_id,
    )
    await template(org)
    body = {"name": "Daily", "sections": SECTIONS}
    refused = await org.admin.post("/v1/inspection-templates", body)
    told = {name: refused.json[name] for name in ("code", "quota", "limit", "used")}
    assert (refused.status, told) == (
        403,
        {"code": "quota_exceeded", "quota": "inspection_templates", "limit": 200, "used": 200},
    )
    draft = {"template_id": template_id, "status": "draft"}
    assert (await org.admin.post("/v1/inspection-forms", draft)).status == 201
    copies = (
        "INSERT INTO inspection_forms (org_id, id, template_id, template_version, state, answers,"
        " defects, created_by, created_at) SELECT org_id, gen_random_uuid(), template_id, 1,"
        " 'draft', '{}', '[]', created_by, now() - %s::interval"
        " FROM (SELECT * FROM inspection_forms WHERE org_id = %s LIMIT 1) AS form,"
        " generate_series(1, %s)"
    )
    api.sql(copies, "25 hours", org.org_id, 100)
    api.sql(copies, "23 hours", org.org_id, 998)
    assert (await org.admin.post("/v1/inspection-forms", draft)).status == 201
    refused = await org.admin.post("/v1/inspection-forms", draft)
    assert (refused.status, refused.json["quota"]) == (403, "inspection_forms_a_day")


async def test_each_filter_of_forms_has_an_index(api: RunningApi) -> None:
    columns = ("template_id", "asset_id", "site_id", "employee_id", "state")
    defined = [
        row[0]
        for row in api.sql("SELECT indexdef FROM pg_indexes WHERE tablename = 'inspection_forms'")
    ]
    for column in columns:
        assert any(f"(org_id, {column}, created_at DESC, id DESC)" in each for each in defined)
    assert any("(org_id, created_at DESC, id DESC)" in each for each in defined)


async def test_of_corrections_at_one_time_one_is_made(api: RunningApi) -> None:
    org = api.organization("North")
    template_id = await template(org)
    wrong = (await fill_in(org.technician, template_id, answers=BAD)).json["id"]
    made = await asyncio.gather(
        *(fill_in(org.admin, template_id, supersedes_id=wrong) for _ in range(6))
    )
    assert sorted(each.status for each in made) == [201, 409, 409, 409, 409, 409]
    assert len(submitted_events(api, org)) == 2


# Work orders --------------------------------------------------------------------------------------


async def _order(org: Organization, **body: Any) -> str:
    made = await org.dispatcher.post("/v1/work-orders", {"title": "Service"} | body)
    assert made.status == 201, made.json
    return made.json["id"]


async def test_a_technician_inspects_the_work_orders_that_are_assigned_to_them(
    api: RunningApi,
) -> None:
    org = api.organization("North")
    anna = await worker(api, org)
    own, other = await _order(org, assignee_ids=[anna.id]), await _order(org)
    template_id = await template(org)
    made = await fill_in(org.technician, template_id, work_order_id=own)
    assert (made.status, made.json["work_order_id"]) == (201, own)
    assert (await fill_in(org.technician, template_id, work_order_id=other)).status == 403
    draft = await fill_in(org.technician, template_id, status="draft")
    path = f"/v1/inspection-forms/{draft.json['id']}"
    assert (await org.technician.patch(path, {"work_order_id": other})).status == 403
    changed = await org.technician.patch(path, {"work_order_id": own})
    assert (changed.status, changed.json["work_order_id"]) == (200, own)
    listed = await org.viewer.get("/v1/inspection-forms", work_order_id=own)
    assert [row["id"] for row in listed.json["data"]] == [draft.json["id"], made.json["id"]]
    assert (await org.viewer.get("/v1/inspection-forms", work_order_id=other)).json["data"] == []
    assert [data["work_order_id"] for data in submitted_events(api, org)] == [own]
    photo = await upload(org.technician, PNG, work_order_id=own)
    assert photo.status == 201, photo.json


async def test_a_defect_becomes_a_work_order_once(api: RunningApi) -> None:
    org = api.organization("North")
    client_id = (await org.admin.post("/v1/clients", {"name": "Keller"})).json["id"]
    site_id = (await org.admin.post("/v1/sites", {"name": "Lot 4"})).json["id"]
    asset_id = (await org.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    order_id = await _order(org, client_id=client_id, site_id=site_id)
    place = {"work_order_id": order_id, "asset_id": asset_id}
    form = (await fill_in(org.admin, await template(org), answers=BAD, **place)).json
    assert [each["work_order_id"] for each in form["defects"]] == [None]
    path = f"/v1/inspection-forms/{form['id']}"
    for caller in (org.viewer, org.technician):
        refused = await caller.post(f"{path}/work-orders", {"question_id": "brakes"})
        assert refused.status == 403
    body = {"question_id": "brakes"}
    narrow = await key(api, org, "inspection-forms:write")
    refused = await narrow.post(f"{path}/work-orders", body)
    assert (refused.status, refused.json["code"]) == (403, "scope_missing")
    asked = [org.dispatcher.post(f"{path}/work-orders", body) for _ in range(2)]
    first, second = sorted(await asyncio.gather(*asked), key=lambda answer: answer.status)
    assert (first.status, second.status, second.json["code"]) == (201, 409, "repair_ordered")
    repair = first.json
    assert second.json["work_order_id"] == repair["id"]
    assert (await org.viewer.get(first.headers["Location"])).json == repair
    assert (repair["title"], repair["description"], repair["priority"]) == (
        "Do the brakes hold?",
        "Pads are worn.",
        "high",
    )
    assert (repair["client_id"], repair["site_id"]) == (client_id, site_id)
    assert repair["asset_ids"] == [asset_id]
    assert (repair["inspection_form_id"], repair["question_id"]) == (form["id"], "brakes")
    shown = (await org.viewer.get(path)).json
    assert [each["work_order_id"] for each in shown["defects"]] == [repair["id"]]
    good = await org.dispatcher.post(f"{path}/work-orders", {"question_id": "wear"})
    assert faults(good).keys() == {"/question_id"}
    assert (await org.viewer.get("/v1/work-orders")).json["total"] == 2


async def test_only_a_submitted_form_has_defects_to_mend(api: RunningApi) -> None:
    org = api.organization("North")
    form = await fill_in(org.admin, await template(org), answers=BAD, status="draft")
    path = f"/v1/inspection-forms/{form.json['id']}/work-orders"
    refused = await org.dispatcher.post(path, {"question_id": "brakes"})
    assert (refused.status, refused.json["code"]) == (409, "illegal_move")
