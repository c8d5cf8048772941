"""Texts that are too long cost no more than any, wherever they stand; names show what they are."""

import time
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from api.openapi.examples import example_of
from tests.api.running import Organization, RunningApi
from tests.api.test_tenants import with_id

pytestmark = pytest.mark.own_api

LONG = "T00:00" * 20_000
LONG_IN_URL = "T00:00" * 600
MOST_S = 0.5  # of the processor: for the request, its answer and the client; 18 s before
SOME_ID = "0" * 26


def texts_in(value: Any, place: str = "") -> Iterator[str]:
    """Yield the JSON pointer of each text in an example."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from texts_in(value[key], f"{place}/{key}")


def requests(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield method, path, place and options of a request with a long text in each place."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", ())
            ids = {
                each["name"]: each["schema"].get("pattern", "^x")[1:].partition("_")[0]
                + "_"
                + SOME_ID
                for each in parameters
                if each["in"] == "path"
            }
            filled = path.format(**ids)
            for each in parameters:
                if each["in"] == "query":
                    options = {"params": {each["name"]: LONG_IN_URL}}
                    yield method.upper(), filled, f"query {each['name']}", options
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                body = example_of(content["schema"], document)
                for place in texts_in(body):
                    options = {"json": with_id(body, place, LONG) if place else LONG}
                    yield method.upper(), filled, f"body {place}", options


async def test_a_long_text_is_refused_at_once_wherever_it_stands(
    api: RunningApi, org: Organization
) -> None:
    document = (await api.anonymous.get("/openapi.json")).json
    asked = list(requests(document))
    assert len(asked) > 500
    slow: dict[str, float] = {}
    taken: dict[str, int] = {}
    for method, path, place, options in asked:
        name = f"{method} {path} {place}"
        began_s = time.process_time()
        answer = await org.admin.send(method, path, **deepcopy(options))
        took_s = time.process_time() - began_s
        if took_s > MOST_S:
            slow[name] = took_s
        says_faults = path == "/v1/zones/validate" and answer.json["errors"]
        if not (400 <= answer.status < 500 or says_faults):
            taken[name] = answer.status
    assert slow == {}
    assert taken == {}


# Names --------------------------------------------------------------------------------------------

UNSEEN = (0x00, 0x09, 0x1F, 0x7F, 0x80, 0x9F, 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x2069)


@pytest.mark.parametrize("code", UNSEEN, ids=lambda code: f"U+{code:04X}")
async def test_a_name_has_no_signs_that_are_not_seen(org: Organization, code: int) -> None:
    for path, field in (("assets", "name"), ("employees", "name"), ("clients", "external_id")):
        body = {"name": "Truck 7"} | {field: f"Truck{chr(code)}7"}
        answer = await org.dispatcher.post(f"/v1/{path}", body)
        assert answer.status == 422
        assert answer.json["errors"] == [
            {
                "pointer": f"/{field}",
                "message": f"must not contain the character U+{code:04X}, which is not seen",
            }
        ]


@pytest.mark.parametrize(
    "name", ["Müller & Söhne", "a\u200cb", "\u05de\u05e9", "\u5361\u8f66", "a\u200eb"]
)
async def test_names_are_written_in_any_language(org: Organization, name: str) -> None:
    answer = await org.dispatcher.post("/v1/assets", {"name": name})
    assert (answer.status, answer.json["name"]) == (201, name)


async def test_a_stored_name_with_such_a_sign_stays_until_it_is_changed(
    api: RunningApi, org: Organization
) -> None:
    made = (await org.dispatcher.post("/v1/clients", {"name": "Keller"})).json
    api.sql("UPDATE clients SET name = %s WHERE org_id = %s", "Kel\u202eler", org.org_id)
    path = f"/v1/clients/{made['id']}"
    answer = await org.dispatcher.patch(path, {"phone": "+41 44 123 45 67"})
    assert (answer.status, answer.json["name"]) == (200, "Kel\u202eler")
    assert (await org.dispatcher.patch(path, {"name": "Kel\u202eler 2"})).status == 422
