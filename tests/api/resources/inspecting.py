"""Templates and forms of inspections, and what is told of them."""

import base64
from typing import Any

from tests.api.running import Answer, Client, Organization, RunningApi

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
QUESTIONS: list[dict[str, Any]] = [
    {"id": "brakes", "type": "pass_fail", "label": "Do the brakes hold?"},
    {
        "id": "wear",
        "type": "choice",
        "label": "How worn are they?",
        "options": ["a little", "badly"],
        "show_if": {"question_id": "brakes", "equals": "fail"},
    },
    {"id": "picture", "type": "photo", "label": "A photo", "required": False},
]
SECTIONS = [{"title": "Chassis", "questions": QUESTIONS}]
GOOD = {"brakes": {"value": "pass"}}
BAD = {"brakes": {"value": "fail", "note": "Pads are worn."}, "wear": {"value": "badly"}}


async def template(org: Organization, **fields: Any) -> str:
    """Return the id of a new template."""
    made = await org.dispatcher.post(
        "/v1/inspection-templates", {"name": "Daily", "sections": SECTIONS} | fields
    )
    assert made.status == 201, made.json
    return made.json["id"]


async def fill_in(caller: Client, template_id: str, **fields: Any) -> Answer:
    """Send a form, which is good unless `fields` say otherwise."""
    body = {"template_id": template_id, "answers": GOOD} | fields
    return await caller.post("/v1/inspection-forms", body)


def faults(answer: Answer) -> dict[str, str]:
    """Return the messages by pointer."""
    assert answer.status == 422, answer.json
    return {each["pointer"]: each["message"] for each in answer.json["errors"]}


def submitted_events(api: RunningApi, org: Organization) -> list[dict[str, Any]]:
    """Return the data of the organization's events, oldest first."""
    rows = api.sql(
        "SELECT data FROM events WHERE org_id = %s AND type = 'inspection.submitted' ORDER BY id",
        org.org_id,
    )
    return [data for (data,) in rows]
