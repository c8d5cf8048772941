"""What the OpenAPI document must say of every operation and field, so that a new route is told what
it forgot. Bounds and examples come from the types of `api/http/fields.py`; errors, summaries and
times are filled in by `api/openapi/document.py`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.api.running import RunningApi

METHODS = {"get", "post", "put", "patch", "delete"}
# The verbs of an id: those that a method stands for, and those that end a path.
VERBS = {
    "GET": {"list", "get"}, "POST": {"create", "plan", "send"}, "PUT": {"put"},
    "PATCH": {"update"}, "DELETE": {"delete"},
}  # fmt: skip
PATH_VERBS = {
    "accept", "approve", "assign", "cancel", "cannot-complete", "close", "complete", "consume",
    "convert", "decline", "expire", "hold", "issue", "lock", "recover", "register", "reject",
    "release", "reopen", "resend", "restore", "resume", "return", "review", "revise", "revoke",
    "rotate", "send", "sign-out", "start", "submit", "test", "withdraw",
}  # fmt: skip
# Resources whose name is not that of the path, or has no plural.
ONE_OF = {
    "deliveries": "Delivery", "inventory": "Inventory", "punches": "Punch",
    "quarantine": "QuarantinedMessage", "statistics": "Statistics",
}  # fmt: skip
ALL_OF = {"inventory": "Inventory", "quarantine": "QuarantinedMessages"}
# Paths that are no resource of an organization, that are many things at once, or whose verb has an
# object of its own.
OTHER_IDS = {
    "GET /v1/api-keys/scopes": "getApiKeyScopes",
    "POST /v1/auth/token": "createToken",
    "POST /v1/auth/refresh": "refreshToken",
    "POST /v1/auth/revoke": "revokeToken",
    "POST /v1/auth/session": "createSession",
    "GET /v1/auth/session": "getSession",
    "DELETE /v1/auth/session": "deleteSession",
    "POST /v1/auth/invitations/accept": "acceptInvitation",
    "POST /v1/auth/password-reset": "requestPasswordReset",
    "POST /v1/auth/password-reset/confirm": "confirmPasswordReset",
    "GET /.well-known/jwks.json": "getPublicKeys",
    "GET /v1/users/me": "getCurrentUser",
    "PATCH /v1/users/me": "updateCurrentUser",
    "POST /v1/users/me/sign-out": "signOutCurrentUser",
    "GET /v1/search": "searchEverything",
    "GET /v1/events/stream": "streamEvents",
    "GET /v1/gps-events/nearest": "getNearestGpsEvents",
    "GET /v1/work-orders/counts": "countWorkOrders",
    "POST /v1/assets/batch": "createAssets",
    "POST /v1/trackers/batch": "createTrackers",
    "POST /v1/zones/batch": "createZones",
    "POST /v1/imports/assets": "importAssets",
    "POST /v1/imports/trackers": "importTrackers",
    "POST /v1/zones/validate": "validateZone",
    "POST /v1/zones/try": "tryZone",
    "GET /v1/zones/versions": "listVersionsOfZones",
    "GET /v1/zones/{id}/past-visits": "getZonePastVisits",
    "POST /v1/quotes/{id}/confirm-amounts": "confirmQuoteAmounts",
    "POST /v1/quotes/{id}/end-link": "endQuoteLink",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each operation by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def schemas_below(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema with a type, and where it stands. Examples of a choice are
    its kinds' too.
    """
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield place, node
        for kind in node.get("anyOf", ()):
            kind |= {"examples": node["examples"]} if "examples" in node else {}
        for key, value in node.items():
            if key not in ("example", "examples", "default"):
                yield from schemas_below(value, f"{place}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from schemas_below(value, f"{place}/{number}")


def contents_of(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the bodies that an operation takes and gives."""
    holders = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for name, holder in holders.items():
        for media_type, content in holder.get("content", {}).items():
            if "schema" in content:
                yield f"{name} {media_type}", content


def fits(value: object, schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """Return what does not fit."""
    whole = {**schema, "components": document["components"]}
    faults = Draft202012Validator(whole).iter_errors(value)
    return [f"{fault.json_path}: {fault.message}" for fault in faults]


def in_camel_case(segment: str) -> str:
    """Write `work-orders` as WorkOrders."""
    return "".join(word.capitalize() for word in segment.split("-"))


def one_of(segment: str) -> str:
    """Return the name of one thing of a collection: WorkOrder of `work-orders`."""
    *first, last = segment.split("-")
    return in_camel_case("-".join(first)) + ONE_OF.get(last, in_camel_case(last.removesuffix("s")))


def resource_of(segments: list[str], *, many: bool) -> str:
    """Return the resource that a path leads to; many: where it ends in a collection, all of it."""
    names = [segment for segment in segments if not segment.startswith("{")]
    last = names.pop()
    is_all = many and not segments[-1].startswith("{")
    whole = ALL_OF.get(last, in_camel_case(last)) if is_all else one_of(last)
    return "".join(map(one_of, names)) + whole


def ids_by_the_rule(method: str, path: str) -> set[str]:
    """Return the ids that an operation may have: a verb, then the resource of the path."""
    segments = path.removeprefix("/v1/").split("/")
    if method == "POST" and segments[-1] in PATH_VERBS:
        verb = in_camel_case(segments.pop())
        return {verb[0].lower() + verb[1:] + resource_of(segments, many=True)}
    return {verb + resource_of(segments, many=verb == "list") for verb in VERBS[method]}


def is_list(operation: dict[str, Any]) -> bool:
    """Return whether an operation answers with a page of a list."""
    content = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    return content.get("schema", {}).get("$ref", "").endswith("List")


def test_an_id_is_a_verb_and_the_resource_of_the_path(
    operations: dict[str, dict[str, Any]],
) -> None:
    """Deprecated operations keep the id that programs know."""
    todays = {name: each for name, each in operations.items() if not each.get("deprecated")}
    wrong = {
        name: operation["operationId"]
        for name, operation in todays.items()
        if name not in OTHER_IDS
        and operation["operationId"] not in ids_by_the_rule(*name.split(" "))
    }
    assert wrong == {}
    assert OTHER_IDS.items() <= {name: op["operationId"] for name, op in todays.items()}.items()
    for name, operation in todays.items():
        assert operation["operationId"].startswith("list") == is_list(operation), name


def test_a_secret_is_rotated_and_a_credential_revoked_by_one_path(
    operations: dict[str, dict[str, Any]],
) -> None:
    """DELETE is for things; the former paths are deprecated."""
    todays = {name for name, each in operations.items() if not each.get("deprecated")}
    assert {name for name in todays if "rotate" in name} == {
        f"POST /v1/{kind}/{{id}}/rotate"
        for kind in ("api-keys", "gateways", "trackers", "webhook-endpoints")
    }
    assert {name for name in todays if "revoke" in name and "/auth/" not in name} == {
        f"POST /v1/{kind}/{{id}}/revoke" for kind in ("api-keys", "gateways", "trackers")
    }
    assert operations.keys() - todays == {
        "DELETE /v1/api-keys/{id}",
        "POST /v1/webhook-endpoints/{id}/rotate-secret",
    }


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_an_id_a_summary_and_a_description(
    operations: dict[str, dict[str, Any]],
) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"].endswith("."), f"{name}: a docstring, please"


def test_every_operation_has_one_tag_that_is_described(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    described = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(described.values())
    assert {name for name, op in operations.items() if len(op["tags"]) != 1} == set()
    assert {tag for op in operations.values() for tag in op["tags"]} == described.keys()


def test_every_operation_says_which_errors_it_may_have(
    operations: dict[str, dict[str, Any]],
) -> None:
    for name, operation in operations.items():
        wanted = {"400", "429", "500", "503"}
        if operation["security"]:
            wanted |= {"401", "403"}
        if "requestBody" in operation:
            wanted |= {"413", "415", "422"}
        if "{" in name:
            wanted |= {"404"}
        assert wanted <= operation["responses"].keys(), name


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    for name, response in document["components"]["responses"].items():
        assert list(response["content"]) == ["application/problem+json"], name
        content = response["content"]["application/problem+json"]
        assert fits(content["example"], content["schema"], document) == [], name


def test_every_body_has_an_example_that_fits(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    misfits = {
        f"{name} {which}": faults
        for name, operation in operations.items()
        for which, content in contents_of(operation)
        if (faults := fits(content["example"], content["schema"], document))
    }
    assert misfits == {}


def test_every_text_has_a_longest_and_an_example(document: dict[str, Any]) -> None:
    for place, schema in schemas_below(document["components"]["schemas"]):
        if schema["type"] == "string" and not schema.keys() & {"enum", "const"}:
            assert "maxLength" in schema, place
            assert "examples" in schema or schema.get("format") == "date-time", place


def test_every_parameter_is_bounded_and_never_null(
    operations: dict[str, dict[str, Any]],
) -> None:
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            place = f"{name} {parameter['name']}"
            assert "anyOf" not in parameter["schema"], place
            assert parameter["schema"].get("type") != "array", f"{place}: it is one text"
            if parameter["schema"].get("type") == "string":
                assert parameter["schema"].keys() & {"maxLength", "enum", "const"}, place


def test_every_whole_number_has_a_least_and_a_greatest(document: dict[str, Any]) -> None:
    for place, schema in schemas_below(document):
        if schema["type"] == "integer":
            assert schema.keys() & {"minimum", "exclusiveMinimum"}, place
            assert schema.keys() & {"maximum", "exclusiveMaximum"}, place


def test_every_array_has_a_greatest_length(document: dict[str, Any]) -> None:
    for place, schema in schemas_below(document):
        if schema["type"] == "array":
            assert "maxItems" in schema, place


def test_every_id_in_an_answer_has_a_pattern(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, of in schema.get("properties", {}).items():
            kinds = [kind for kind in of.get("anyOf", [of]) if kind.get("type") == "string"]
            if (field == "id" or field.endswith("_id")) and field != "request_id":
                assert all("pattern" in kind for kind in kinds), f"{name}.{field}"


def test_bodies_refuse_fields_that_are_not_known(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    for name, operation in operations.items():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"]
            if schema.get("type") == "string":  # a file
                continue
            while "$ref" in schema:  # of an array: what is in it
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                schema = schema.get("items", schema)
            assert schema.get("additionalProperties") is False, name
