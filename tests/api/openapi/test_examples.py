"""The example of each body is accepted exactly as it is shown by an organization that is new."""

from typing import Any

import pytest
import pytest_asyncio

from api.openapi.examples import example_of
from tests.api.resources.quoting import draft
from tests.api.running import Organization, RunningApi
from tests.api.stocked import stocked

# What no example can have, since it belongs to one organization alone.
NOT_BY_NATURE = {
    "createToken": "the password of a user",
    "createSession": "the password of a user",
    "refreshToken": "a refresh token that was given",
    "acceptInvitation": "a token that was mailed",
    "confirmPasswordReset": "a token that was mailed",
    "createAttachment": "the id of what the file belongs to",
    "putLogo": "an image",
    "createPunch": "the id of the employee",
    "createInventory": "the ids of a part and a warehouse",
    "createStockMovement": "the ids of a part and a warehouse",
    "createQuote": "the id of a client",
    "acceptQuote": "a quote that was sent",
    "declineQuote": "a quote that was sent",
    "convertQuote": "a quote that was accepted",
    "createInspectionForm": "the id of the template",
    "repairDefect": "a failed question",
    "reviewPunch": "the id of a punch of an employee",
    "assignWorkOrder": "the id of an employee",
    "holdWorkOrder": "an assignee",
    "completeWorkOrder": "an assignee",
    "startWorkOrder": "an assignee",
    "resumeWorkOrder": "an assignee",
    "cannotCompleteWorkOrder": "an assignee",
    "issueWorkOrder": "a draft",
    "closeWorkOrder": "a work order that has ended",
    "reopenWorkOrder": "a work order that has ended",
    "planPart": "the id of a part",
    "updateOrderPart": "a part of the work order",
    "consumePart": "a part that is in stock",
    "returnPart": "a part that was used",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


def example(operation: dict[str, Any]) -> Any:
    """Return the JSON body that the document shows for an operation."""
    return operation["requestBody"]["content"]["application/json"]["example"]


async def timesheet(org: Organization) -> str:
    """Return a timesheet of the days of the examples: a punch makes it."""
    employee = (await org.admin.post("/v1/employees", {"name": "Anna Keller"})).json["id"]
    punch = {"employee_id": employee, "kind": "in", "time": "2026-03-02T07:00:00Z"}
    made = await org.admin.post("/v1/punches", punch | {"reason": "forgotten"})
    assert made.status == 201, made.json
    return (await org.admin.get("/v1/timesheets")).json["data"][0]["id"]


async def inspection_form(org: Organization, document: dict[str, Any]) -> str:
    """Return a draft of the template of the examples."""
    template = example(document["paths"]["/v1/inspection-templates"]["post"])
    template_id = (await org.admin.post("/v1/inspection-templates", template)).json["id"]
    body = {"template_id": template_id, "status": "draft"}
    made = await org.admin.post("/v1/inspection-forms", body)
    assert made.status == 201, made.json
    return made.json["id"]


async def path_of(org: Organization, document: dict[str, Any], path: str) -> str:
    """Return a path with an id: that of a thing which is made from the example of its own POST."""
    if "{id}" not in path:
        return path
    collection = path.partition("/{id}")[0]
    if collection == "/v1/quotes":
        return path.replace("{id}", (await draft(org))["id"])
    if collection == "/v1/timesheets":
        return path.replace("{id}", await timesheet(org))
    if collection == "/v1/inventory":
        return f"{collection}/{(await stocked(org))['inventory']}"
    if collection == "/v1/inspection-forms":
        return path.replace("{id}", await inspection_form(org, document))
    made = await org.admin.post(collection, example(document["paths"][collection]["post"]))
    assert made.status == 201, made.json
    return path.replace("{id}", made.json["id"])


async def test_every_example_is_accepted_as_it_is_shown_by_a_new_organization(
    api: RunningApi, document: dict[str, Any]
) -> None:
    refused: dict[str, str] = {}
    sent: list[str] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = operation["operationId"]
            if "requestBody" not in operation or name in NOT_BY_NATURE:
                continue
            org = api.organization("New")
            place = await path_of(org, document, path)
            answer = await org.admin.send(method.upper(), place, json=example(operation))
            sent.append(name)
            if answer.status not in (200, 201, 202) or answer.json.get("valid") is False:
                refused[name] = f"{answer.status} {answer.content.decode()}"
    assert refused == {}
    assert len(sent) > 20


def test_what_no_example_can_have_is_still_asked_for(document: dict[str, Any]) -> None:
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert all("requestBody" in operations[name] for name in NOT_BY_NATURE)


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"required": ["a_id"]}, {"a_id": "ast_00000000000000000000000000", "at": ""}),
        ({}, {"at": ""}),
        ({"dependentRequired": {"at": ["a_id"]}}, {}),
    ],
)
def test_ids_that_may_be_left_out_are_left_out_with_what_depends_on_them(
    schema: dict[str, Any], shown: dict[str, str]
) -> None:
    asset_id = {"pattern": "^ast_[0-7]", "examples": ["ast_00000000000000000000000000"]}
    whole = {"type": "object", "properties": {"a_id": asset_id, "at": {"type": "string"}}}
    assert example_of(whole | schema, {}, with_references=False) == shown
    assert example_of(whole | schema, {}) == {"a_id": asset_id["examples"][0], "at": ""}
