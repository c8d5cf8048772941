"""Keys with scopes, over all operations of the OpenAPI document.

Each operation lets a key in, or refuses it, by the scope that its tag says, and none fails through
a fault of ours.
"""

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from api.auth.caller import lets_through, needed_scope
from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.running import Client, Organization, RunningApi
from tests.api.test_tenants import kind_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path with ids of nothing, and operation, of all that want a token."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["security"]:
                ids = {
                    each["name"]: format_id(kind_of(each) or "", new_id())
                    for each in operation.get("parameters", ())
                    if each["in"] == "path"
                }
                yield method.upper(), path.format(**ids), operation


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Return a file for what takes one, since it is read before anything else; else nothing."""
    contents = operation.get("requestBody", {}).get("content", {})
    if texts := [
        kind for kind in contents if kind not in ("application/json", "multipart/form-data")
    ]:
        return {"data": b"hello", "headers": {"Content-Type": texts[0]}}
    if "multipart/form-data" not in contents:
        return {}
    form = aiohttp.FormData()
    form.add_field("file", b"hello", filename="hello.txt")
    return {"data": form}


async def key(api: RunningApi, org: Organization, *scopes: str) -> Client:
    """Return a key that is narrowed."""
    made = await org.admin.post("/v1/api-keys", {"name": "Script", "scopes": list(scopes)})
    assert made.status == 201, made.json
    return Client(api.url, made.json["secret"])


@pytest.mark.parametrize("scopes", [("*:read",), ("*:write",), ("assets:read", "users:write")])
async def test_each_operation_answers_a_narrowed_key_as_its_scopes_say(
    api: RunningApi, document: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    client = await key(api, api.organization("Acme"), *scopes)
    wrong: dict[str, str] = {}
    for method, path, operation in operations(document):
        (tag,) = operation["tags"]
        if operation["operationId"] == "streamEvents":
            path += f"?after={2**40}"  # no such event yet: else the answer has no end
        answer = await client.send(method, path, **body_of(operation))
        is_in = lets_through(frozenset(scopes), needed_scope(tag, method))
        is_refused = answer.status == 403 and answer.json["code"] == "scope_missing"
        if answer.status >= 500 or is_in == is_refused:
            wrong[f"{method} {path}"] = f"{answer.status} {answer.content.decode()}"
    assert wrong == {}
