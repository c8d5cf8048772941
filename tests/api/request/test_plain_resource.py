"""Bodies and answers that follow from the row of a plain resource."""

from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from api.resources.sites import SiteItem, router

TIMES = ["created_at", "updated_at", "deleted_at"]
WRITTEN = ["client_id", "zone_id", "name", "external_id", "address", "lat", "lon", "notes"]


def _body(handler: str) -> type[BaseModel]:
    """Return the model of the body that a route takes."""
    for route in router.routes:
        if isinstance(route, APIRoute) and route.name == handler:
            return route.endpoint.__annotations__["body"].__origin__
    raise KeyError(handler)


def _described(model: type[BaseModel]) -> dict[str, Any]:
    properties = model.model_json_schema()["properties"]
    return {name: each["description"] for name, each in properties.items() if "description" in each}


def test_an_answer_has_all_fields_of_the_row_and_what_is_said_of_them() -> None:
    schema = SiteItem.model_json_schema()
    assert schema["description"] == "A site."
    assert list(schema["properties"]) == schema["required"] == ["id", *WRITTEN, *TIMES]
    assert _described(SiteItem)["zone_id"] == "its geofence"


def test_a_new_row_may_lack_what_may_be_null() -> None:
    new = _body("create_row")
    assert (new.__name__, new.__doc__) == ("NewSite", "A new site. `lat` and `lon` go together.")
    assert list(new.model_fields) == WRITTEN
    assert new.model_json_schema()["required"] == ["name"]
    assert _described(new) == {}


def test_a_change_may_lack_everything_but_nulls_only_what_may_be_null() -> None:
    change = _body("update_row")
    assert (change.__name__, list(change.model_fields)) == ("SiteChange", WRITTEN)
    assert "required" not in change.model_json_schema()
    assert change.model_validate({"notes": None}).model_fields_set == {"notes"}
    with pytest.raises(ValidationError):
        change.model_validate({"name": None})
    with pytest.raises(ValidationError):
        change.model_validate({"id": "sit_00000000000000000000000000"})
