"""What the OpenAPI document must say of every operation and field, so that a new route is told what
it forgot. Bounds and examples come from the types of `api/http/fields.py`; errors, summaries and
times are filled in by `api/openapi/document.py`.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.api.running import RunningApi

METHODS = {"get", "post", "put", "patch", "delete"}
CAMEL_CASE = re.compile(r"[a-z]+([A-Z][a-z0-9]*)+")


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


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_an_id_a_summary_and_a_description(
    operations: dict[str, dict[str, Any]],
) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    for name, operation in operations.items():
        assert CAMEL_CASE.fullmatch(operation["operationId"]), name
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
            while "$ref" in schema:  # of an array: what is in it
                schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                schema = schema.get("items", schema)
            assert schema.get("additionalProperties") is False, name
