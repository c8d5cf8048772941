"""One long text costs no more than any: whatever field or parameter it stands in."""

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
