"""Every type of event is described by one list: the OpenAPI document and the page agree with it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.openapi.event_types import EVENT_KINDS, EventKind
from tests.api.openapi.event_tables import type_table
from tests.audit.document import document

PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"
KINDS = [pytest.param(kind, id=kind.name) for kind in EVENT_KINDS]


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    return document()


def webhook(openapi: dict[str, Any], kind: EventKind) -> dict[str, Any]:
    """Return the body of a webhook as the document has it."""
    post = openapi["webhooks"][kind.name]["post"]
    return post["requestBody"]["content"]["application/json"]


def test_the_document_has_a_webhook_of_every_type_and_no_other(openapi: dict[str, Any]) -> None:
    assert list(openapi["webhooks"]) == [kind.name for kind in EVENT_KINDS]


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_webhook_is_as_its_schema_says(
    openapi: dict[str, Any], kind: EventKind
) -> None:
    body = webhook(openapi, kind)
    whole = body["schema"] | {"components": openapi["components"]}
    Draft202012Validator(whole).validate(body["example"])
    assert body["example"]["type"] == kind.name
    assert list(body["example"]["data"]) == list(kind.data.__struct_fields__)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_says_what_it_means_and_has_an_example(kind: EventKind) -> None:
    for name, field in kind.data_schema()["properties"].items():
        said = field if "description" in field else field["anyOf"][0]
        assert said["description"], name
        assert said["examples"], name


def test_the_page_has_the_table_of_the_list() -> None:
    page = PAGE.read_text("utf-8")
    assert type_table() in page, "write what `python -m tests.api.openapi.event_tables` prints"


def test_the_event_on_the_page_is_as_its_schema_says(openapi: dict[str, Any]) -> None:
    written = re.search(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert written is not None
    event = json.loads(written[1])
    (kind,) = (kind for kind in EVENT_KINDS if kind.name == event["type"])
    assert list(event["data"]) == list(kind.data.__struct_fields__)
    assert list(event) == list(webhook(openapi, kind)["example"])
