"""The example of each body is accepted by an organization that is new: as it is shown, or with the
ids of its own things.
"""

from typing import Any

import pytest
import pytest_asyncio

from api.openapi.examples import example_of
from tests.api.belongings import with_ids
from tests.api.mailbox import Mailbox
from tests.api.resources.alerting import store_alert
from tests.api.resources.quoting import draft, mailed
from tests.api.running import Organization, RunningApi
from tests.api.stocked import stocked
from tests.api.stored import store_unknown

# What no example can have, since it is a secret or a file.
NOT_BY_NATURE = {
    "createToken": "the password of a user",
    "createSession": "the password of a user",
    "refreshToken": "a refresh token that was given",
    "acceptInvitation": "a token that was mailed",
    "confirmPasswordReset": "a token that was mailed",
    "createAttachment": "a file",
    "createExport": "an archive",
    "putOrganizationLogo": "an image",
}
OF_OTHER_THINGS = {
    "updateAlert",
    "createPunch",
    "reviewPunch",
    "createInventory",
    "createStockMovement",
    "createQuote",
    "acceptQuote",
    "declineQuote",
    "convertQuote",
    "createInspectionForm",
    "createInspectionFormWorkOrder",
    "assignWorkOrder",
    "startWorkOrder",
    "holdWorkOrder",
    "resumeWorkOrder",
    "completeWorkOrder",
    "reopenWorkOrder",
    "cannotCompleteWorkOrder",
    "closeWorkOrder",
    "issueWorkOrder",
    "planWorkOrderPart",
    "updateWorkOrderPart",
    "consumeWorkOrderPart",
    "returnWorkOrderPart",
}
"""Their bodies name other things, or the thing needs a history first."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


def example(operation: dict[str, Any]) -> Any:
    """Return the JSON body that the document shows for an operation."""
    return operation["requestBody"]["content"]["application/json"]["example"]


def sent_as(operation: dict[str, Any]) -> dict[str, Any]:
    """Return what sends the example: JSON, or CSV where that is what it takes."""
    contents = operation["requestBody"]["content"]
    if "text/csv" not in contents:
        return {"json": example(operation)}
    file = contents["text/csv"]["schema"]["examples"][0]
    return {"data": file.encode(), "headers": {"Content-Type": "text/csv"}}


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


async def path_of(api: RunningApi, org: Organization, document: dict[str, Any], path: str) -> str:
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
    if collection == "/v1/unknown-devices":
        return path.replace("{id}", store_unknown(api, org, "867060033461332"))
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
            if "requestBody" not in operation or name in NOT_BY_NATURE or name in OF_OTHER_THINGS:
                continue
            org = api.organization("New")
            place = await path_of(api, org, document, path)
            answer = await org.admin.send(method.upper(), place, **sent_as(operation))
            sent.append(name)
            if answer.status not in (200, 201, 202) or answer.json.get("valid") is False:
                refused[name] = f"{answer.status} {answer.content.decode()}"
    assert refused == {}
    assert len(sent) > 20


class Examples:
    """The examples as an organization sends them, with ids of its own for those that are shown."""

    def __init__(self, org: Organization, document: dict[str, Any]) -> None:
        self._org = org
        self._operations = {
            operation["operationId"]: (method, path, operation)
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }
        self.ids: dict[str, str] = {}
        self.sent: set[str] = set()

    async def send(self, name: str, **ids: str) -> dict[str, Any]:
        """Send the example of an operation, and note the id of what it makes."""
        method, path, operation = self._operations[name]
        body = with_ids(example(operation), self.ids)
        answer = await self._org.admin.send(method.upper(), path.format(**ids), json=body)
        assert answer.status in (200, 201), f"{name}: {answer.status} {answer.content.decode()}"
        self.sent.add(name)
        if answer.status == 201 and "id" in answer.json:
            self.ids[answer.json["id"].partition("_")[0]] = answer.json["id"]
        return answer.json


async def test_examples_that_name_other_things_are_accepted_with_their_ids(
    api: RunningApi, document: dict[str, Any], mailbox: Mailbox
) -> None:
    org = api.organization("New")
    examples = Examples(org, document)
    for name in ("Employee", "Client", "Part", "Warehouse", "InspectionTemplate", "WorkOrder"):
        await examples.send(f"create{name}")
    await examples.send("createPunch")
    await examples.send("reviewPunch", id=examples.ids["pun"])

    for verb in ("decline", "accept"):
        quote = await examples.send("createQuote")
        await mailed(org, mailbox, quote)
        await examples.send(f"{verb}Quote", id=quote["id"])
    order = examples.ids["wo"]
    await examples.send("convertQuote", id=quote["id"])

    await examples.send("createInspectionForm")
    failed = {"status": "submitted", "answers": {"brakes": {"value": "fail"}}}
    made = await org.admin.post(
        "/v1/inspection-forms", failed | {"template_id": examples.ids["itpl"]}
    )
    await examples.send("createInspectionFormWorkOrder", id=made.json["id"])

    await examples.send("createInventory")
    for _ in range(10):
        await examples.send("createStockMovement")
    await examples.send("planWorkOrderPart", id=order)
    part = {"id": order, "part_id": examples.ids["prt"]}
    plan = {"quantity": 4, "warehouse_id": examples.ids["whs"]}
    await org.admin.patch(f"/v1/work-orders/{order}/parts/{part['part_id']}", plan)
    await examples.send("assignWorkOrder", id=order)
    for name in ("updateWorkOrderPart", "consumeWorkOrderPart", "returnWorkOrderPart"):
        await examples.send(name, **part)
    for verb in ("start", "hold", "resume", "complete", "reopen", "cannotComplete", "close"):
        await examples.send(f"{verb}WorkOrder", id=order)
    made = await org.admin.post("/v1/work-orders", {"title": "A draft", "status": "draft"})
    await examples.send("issueWorkOrder", id=made.json["id"])
    me = (await org.admin.get("/v1/users/me")).json["id"]
    examples.ids["usr"] = me
    await examples.send("updateAlert", id=await store_alert(api, org))
    assert examples.sent >= OF_OTHER_THINGS


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
