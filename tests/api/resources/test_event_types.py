"""The catalogue of events, through HTTP."""

import json

from jsonschema import Draft202012Validator

from api.openapi.event_types import EVENT_TYPES
from tests.api.running import Organization, RunningApi

PATH = "/v1/event-types"


async def test_the_catalogue_has_every_type_with_an_example_that_fits_its_schema(
    north: Organization,
) -> None:
    listed = (await north.viewer.get(PATH, limit=1000)).json
    assert [each["type"] for each in listed["data"]] == list(EVENT_TYPES)
    assert listed["total"] == len(EVENT_TYPES)
    for each in listed["data"]:
        assert "$ref" not in json.dumps(each["schema"])
        Draft202012Validator.check_schema(each["schema"])
        Draft202012Validator(each["schema"]).validate(each["example"])
        assert each["example"]["type"] == each["type"]
        assert not Draft202012Validator(each["schema"]).is_valid(each["example"] | {"data": {}})


async def test_the_catalogue_and_the_webhooks_of_the_document_say_the_same(
    api: RunningApi, north: Organization
) -> None:
    webhooks = (await api.anonymous.get("/openapi.json")).json["webhooks"]
    for each in (await north.viewer.get(PATH, limit=1000)).json["data"]:
        post = webhooks[each["type"]]["post"]
        assert post["requestBody"]["content"]["application/json"]["example"] == each["example"]
        assert post["description"] == each["description"]


async def test_the_catalogue_is_walked_by_cursor_like_any_list(north: Organization) -> None:
    walked: list[str] = []
    page = (await north.viewer.get(PATH, limit=7)).json
    while page["next_cursor"] is not None:
        walked += [each["type"] for each in page["data"]]
        page = (await north.viewer.get(PATH, limit=7, cursor=page["next_cursor"])).json
    assert walked + [each["type"] for each in page["data"]] == list(EVENT_TYPES)


async def test_who_has_no_token_sees_no_catalogue(api: RunningApi) -> None:
    assert (await api.anonymous.get(PATH)).status == 401
