"""Each refusal says where the fault is and what would be right."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.running import Organization
from tests.api.shapes import BOW_TIE, square

JSON = {"Content-Type": "application/json"}
ZONE = format_id("zon", new_id())
OPEN = {"type": "Polygon", "coordinates": [square()["coordinates"][0][:-1]]}


@dataclass(frozen=True, slots=True)
class Refused:
    """A request, and what the problem must say: its status, the place and these words."""

    method: str
    path: str
    status: int
    place: str | None
    words: tuple[str, ...]
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


CASES = {
    "a plus in a time of the query that was not written as %2B": Refused(
        "GET", "/v1/gps-events?from=2026-01-01T00:00:00+02:00", 400, "from", ("%2B", "UTC")
    ),
    "the same without seconds": Refused(
        "GET", "/v1/visits?to=2026-01-01T00:00+0200", 400, "to", ("%2B", "UTC")
    ),
    "a time without a zone": Refused(
        "GET", "/v1/visits?to=2026-01-01T00:00:00", 400, "to", ("like 2026-01-31T12:00:00Z",)
    ),
    "a list where an object is wanted": Refused(
        "POST", "/v1/assets", 422, "", ("must be an object", "is a list"), body=[]
    ),
    "a text where an object is wanted": Refused(
        "POST", "/v1/assets", 422, "", ("must be an object", "is a text"), body="x"
    ),
    "a number where a geometry is wanted": Refused(
        "POST",
        "/v1/zones",
        422,
        "/geometry",
        ("must be an object", "is a number"),
        body={"name": "x", "geometry": 3},
    ),
    "half of a surrogate pair": Refused(
        "POST",
        "/v1/assets",
        400,
        None,
        ("byte 10", "half of a surrogate pair", "whole character"),
        content=b'{"name": "\\ud800"}',
        headers=JSON,
    ),
    "half of a surrogate pair behind a backslash": Refused(
        "POST",
        "/v1/assets",
        400,
        None,
        ("byte 18", "half of a surrogate pair"),
        content=b'{"name": "\\\\ud800 \\udc00 "}',
        headers=JSON,
    ),
    "bytes that are not UTF-8": Refused(
        "POST", "/v1/assets", 400, None, ("UTF-8",), content=b'{"name": "\xff"}', headers=JSON
    ),
    "an email of an employee that is none": Refused(
        "POST",
        "/v1/employees",
        422,
        "/email",
        ("must be an email address, like office@example.com",),
        body={"name": "x", "email": "office"},
    ),
    "an email of a user that is none": Refused(
        "POST",
        "/v1/users",
        422,
        "/email",
        ("must be one email address, like anna@example.com",),
        body={"email": "a@b, c@d", "role": "viewer"},
    ),
    "a phone number that is none": Refused(
        "POST",
        "/v1/clients",
        422,
        "/phone",
        ("must be a phone number, like +41",),
        body={"name": "x", "phone": "call me"},
    ),
    "a tag in capitals": Refused(
        "POST",
        "/v1/assets",
        422,
        "/tags/1",
        ("small letters a to z", "like crane-7"),
        body={"name": "x", "tags": ["crane", "Crane"]},
    ),
    "a scope that is none": Refused(
        "POST",
        "/v1/api-keys",
        422,
        "/scopes/0",
        ("like assets:read",),
        body={"name": "x", "scopes": ["assets"]},
    ),
    "something unknown to include": Refused(
        "GET", "/v1/assets?include=zones", 400, "include", ("must be last_position, zone_ids",)
    ),
    "blanks in an Idempotency-Key": Refused(
        "POST",
        "/v1/assets",
        400,
        None,
        ("Idempotency-Key", '"my key"', "quotes"),
        body={"name": "x"},
        headers={"Idempotency-Key": "one two"},
    ),
    "an id of another kind in the path": Refused(
        "GET", f"/v1/assets/{ZONE}", 404, "id", ("id of an asset, like ast_", "zon_", "a zone")
    ),
    "an id of another kind in the query": Refused(
        "GET", f"/v1/visits?asset_id={ZONE}", 400, "asset_id", ("like ast_", "id of a zone")
    ),
    "an id of another kind in the body": Refused(
        "POST",
        "/v1/sites",
        422,
        "/client_id",
        ("must be the id of a client, like cli_", "zon_ begins the id of a zone"),
        body={"name": "x", "client_id": ZONE},
    ),
    "an id that is none": Refused(
        "POST",
        "/v1/sites",
        422,
        "/client_id",
        ("must be the id of a client, like cli_",),
        body={"name": "x", "client_id": 7},
    ),
    "a path without /v1": Refused("GET", "/assets", 404, None, ("Did you mean /v1/assets?",)),
    "a slash at the end": Refused("GET", "/v1/assets/", 404, None, ("Did you mean /v1/assets?",)),
    "a path that is none": Refused("GET", "/v1/cranes", 404, None, ("/docs",)),
    "an unknown field": Refused(
        "POST",
        "/v1/clients",
        422,
        "/colour",
        ("Known fields: name, external_id, email, phone, address, notes.",),
        body={"name": "x", "colour": "red"},
    ),
    "an unknown field of what is in a list": Refused(
        "POST",
        "/v1/employees",
        422,
        "/certifications/0/until",
        ("Known fields: name, number, issued_on, expires_on.",),
        body={"name": "x", "certifications": [{"name": "y", "until": "2030-01-01"}]},
    ),
    "an unknown field of one of many": Refused(
        "POST",
        "/v1/assets/batch",
        422,
        "/1/colour",
        ("Known fields: name, external_id,",),
        body=[{"name": "x"}, {"name": "x", "colour": "red"}],
    ),
    "from after to": Refused(
        "GET",
        "/v1/gps-events?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        400,
        "from",
        ("must not be later than to",),
    ),
    "an If-Match that cannot be read": Refused(
        "PATCH",
        "/v1/organization",
        412,
        None,
        ("If-Match must be * or quoted tags",),
        body={"name": "x"},
        headers={"If-Match": "*x"},
    ),
    "an If-Match that is weak": Refused(
        "PATCH",
        "/v1/organization",
        412,
        None,
        ("without W/",),
        body={"name": "x"},
        headers={"If-Match": 'W/"x"'},
    ),
    "a ring that is open": Refused(
        "POST",
        "/v1/zones",
        422,
        "/geometry/coordinates/0/3",
        ("is not closed", "Repeat the first, [0, 0], at its end"),
        body={"name": "x", "geometry": OPEN},
    ),
    "a ring that crosses itself": Refused(
        "POST",
        "/v1/zones",
        422,
        "/geometry/coordinates/0/0",
        ("edges cross",),
        body={"name": "x", "geometry": BOW_TIE},
    ),
}


@pytest.mark.parametrize("name", list(CASES))
async def test_a_refusal_says_where_the_fault_is_and_what_would_be_right(
    north: Organization, name: str
) -> None:
    case = CASES[name]
    options = {"data": case.content} if case.content is not None else {"json": case.body}
    answer = await north.admin.send(case.method, case.path, headers=case.headers, **options)
    assert answer.status == case.status, answer.content
    problem = answer.json
    said = " ".join([problem["detail"], *(fault["message"] for fault in problem["errors"])])
    assert [word for word in case.words if word not in said] == [], said
    assert "^[" not in said
    assert "dictionary" not in said
    places = [fault.get("pointer", fault.get("parameter")) for fault in problem["errors"]]
    assert places == ([] if case.place is None else [case.place])


@pytest.mark.parametrize("geometry", [OPEN, BOW_TIE])
async def test_a_repaired_geometry_that_is_offered_is_taken(
    north: Organization, geometry: dict[str, Any]
) -> None:
    refused = await north.admin.post("/v1/zones", {"name": "x", "geometry": geometry})
    mended = {"name": "x", "geometry": refused.json["repaired"]}
    assert (await north.admin.post("/v1/zones", mended)).status == 201


async def test_an_empty_window_is_no_fault(north: Organization) -> None:
    at = "2026-01-01T00:00:00Z"
    assert (await north.admin.get("/v1/visits", from_=at, to=at)).json["data"] == []
