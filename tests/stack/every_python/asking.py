"""Every GET of the OpenAPI document, with parameters that find something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiohttp

from tests.stack.every_python.filling import Filled
from tests.stack.every_python.whole import Whole, answered

JSON = "application/json"
BEFORE, BEHIND = timedelta(days=12), timedelta(minutes=1)
"""From then until now lies the demo's week, within the longest time that each list takes."""
OF_ONE_THING = {"listGpsEvents", "listTrips", "listStops", "getZonePastVisits"}
"""They are about a machine, or can be files of one alone."""
FOUND = {"searchEverything": {"q": "truck"}}
"""What finds something, where the example finds nothing."""
ENDLESS = "streamEvents"


class Question(NamedTuple):
    """An operation asked for one media type."""

    name: str
    media_type: str

    def __str__(self) -> str:
        return f"{self.name} as {self.media_type}"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. rows: of a list in JSON; None: it is none."""

    status: int
    content: bytes
    rows: int | None

    def __str__(self) -> str:
        return f"{self.status} {self.content[:150].decode(errors='replace')}"


class Asking:
    """Asks as the admin. Ids of a path are those of the first thing in its list."""

    def __init__(self, whole: Whole, filled: Filled, document: dict[str, Any]) -> None:
        self._whole, self._document = whole, document
        self._ids = dict(filled.ids)

    def operations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield path and operation of each GET."""
        for path, operations in self._document["paths"].items():
            if "get" in operations:
                yield path, operations["get"]

    async def ask_all(self) -> dict[Question, Said]:
        """Ask each operation for each media type that it documents."""
        said: dict[Question, Said] = {}
        for path, operation in self.operations():
            place = await self._place(path)
            for media_type in operation["responses"]["200"]["content"]:
                question = Question(operation["operationId"], media_type)
                said[question] = await self._ask(place, operation, media_type)
        return said

    async def _ask(self, place: str, operation: dict[str, Any], media_type: str) -> Said:
        if operation["operationId"] == ENDLESS:
            return await self._begin_of(place, media_type)
        answer = await self._whole.admin.get(
            place, {"Accept": media_type}, **self._query(operation)
        )
        rows = None
        if answer.status == 200 and media_type == JSON and "json" in answer.headers["Content-Type"]:
            found = answer.json
            rows = len(found["data"]) if isinstance(found.get("data"), list) else None
        return Said(answer.status, answer.content, rows)

    async def _begin_of(self, place: str, media_type: str) -> Said:
        """Return the first bytes of a stream, which goes on for ever."""
        headers = {"Accept": media_type, "Authorization": f"Bearer {self._whole.admin.token}"}
        url = self._whole.stack.api_url + place
        async with aiohttp.request("GET", url, headers=headers, params={"after": "0"}) as answer:
            return Said(answer.status, await answer.content.readany(), None)

    async def _place(self, path: str) -> str:
        """Return the path with ids."""
        collection, has_id, _ = path.partition("/{id}")
        if not has_id:
            return path
        if collection not in self._ids:
            listed = answered(await self._whole.admin.get(collection), 200)["data"]
            self._ids[collection] = listed[0]["id"] if listed else "none"
        ids = {"id": self._ids[collection], "part_id": self._ids["part_id"]}
        return path.format(**ids)

    def _query(self, operation: dict[str, Any]) -> Mapping[str, Any]:
        """Return what is required, by its example, and the time and machine of the demo."""
        parameters = {
            each["name"]: each for each in operation.get("parameters", ()) if each["in"] == "query"
        }
        query = {
            name: each["schema"]["examples"][0]
            for name, each in parameters.items()
            if each.get("required")
        }
        if {"from", "to"} <= parameters.keys():
            query |= _times(parameters["from"])
        if operation["operationId"] in OF_ONE_THING:
            query["asset_id"] = self._ids["asset_id"]
        return query | FOUND.get(operation["operationId"], {})


def _times(parameter: dict[str, Any]) -> dict[str, str]:
    """Return the demo's time as the parameter has it: days or moments."""
    now = datetime.now(UTC)
    form = "%Y-%m-%d" if "date-time" not in str(parameter["schema"]) else "%Y-%m-%dT%H:%M:%SZ"
    return {"from": f"{now - BEFORE:{form}}", "to": f"{now + BEHIND:{form}}"}
