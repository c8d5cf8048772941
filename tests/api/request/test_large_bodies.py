"""A body that is decoded in a process is taken or refused as a small one is, which the API itself
decodes.
"""

import asyncio
import json
from typing import Any

import pytest

from api.limits.geometry_checks import LARGE_BYTES
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import process_held, ring
from tests.waiting import until

BLANKS = " " * (LARGE_BYTES + 1)
SQUARE = [[8, 47], [9, 47], [9, 48], [8, 47]]
POLYGON = json.dumps({"type": "Polygon", "coordinates": [SQUARE]})
DEEP = "[" * 40 + "]" * 40
JSON = {"Content-Type": "application/json"}


async def sent(
    org: Organization, text: str | bytes, path: str = "/v1/zones", **headers: str
) -> Answer:
    return await org.dispatcher.send("POST", path, data=text, headers=JSON | headers)


def problem(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.json.items() if name != "request_id"}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "x", "geometry": ' + POLYGON + ', "name": "y"}',
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": [[[NaN, 1]]]}}',
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": [[[1e999, 1]]]}}',
        '{"name": "x", "geometry": ' + POLYGON,
        '{"name": "\\ud800", "geometry": ' + POLYGON + "}",
        '{"name": "x", "geometry": ' + DEEP + "}",
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": ' + DEEP + "}}",
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": [[[8, 47], [9, 48]]]}}',
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": {"b": 1, "a": [2]}}}',
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": null}}',
        '{"name": "x", "geometry": {"type": "Polygon", "coordinates": [[[1e30, "x"]]]}}',
        '{"name": "x", "geometry": {"type": "Polygon"}}',
        '{"name": "x", "geometry": [[[8, 47]]]}',
        '{"name": 5, "geometry": ' + POLYGON + ', "unknown": 1}',
        "[]",
        "null",
        '"text"',
        '[{"name": "x"}, 5, {"geometry": 5}]',
        str(10**40),
    ],
)
@pytest.mark.parametrize("path", ["/v1/zones", "/v1/zones/batch"])
async def test_it_has_the_same_faults(org: Organization, text: str, path: str) -> None:
    if path == "/v1/zones/batch" and text.startswith("{"):
        text = f"[{text}]"
    small, large = [await sent(org, body, path) for body in (text, text + BLANKS)]
    assert small.status >= 400
    assert problem(large) == problem(small)


async def test_bytes_that_are_no_text_and_other_types_have_the_same_faults(
    org: Organization,
) -> None:
    wrong = b'{"name": "\xff"}'
    small, large = [await sent(org, body) for body in (wrong, wrong + BLANKS.encode())]
    assert problem(large) == problem(small)
    assert small.json["code"] == "invalid_json"
    small, large = [
        await sent(org, body, **{"Content-Type": "text/plain"}) for body in ("{}", "{}" + BLANKS)
    ]
    assert problem(large) == problem(small)
    assert small.status == 415


async def test_it_has_a_bound_of_values(org: Organization) -> None:
    answer = await sent(org, "[" + "0," * 400_000 + "0]")
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("geometry", "more"),
    [
        (POLYGON, {}),
        ('{"coordinates": [8.30, 47.0], "type": "Point", "foreign": {"b": 1}}', {"radius_m": 5}),
        ('{"type": "LineString", "coordinates": [[8.30, 47.0, 5], [9, 4.7e1]]}', {"width_m": 5}),
    ],
)
async def test_it_makes_the_same_zone(
    org: Organization, geometry: str, more: dict[str, float]
) -> None:
    rest = json.dumps({"name": "x", **more})[1:]
    text = f'{{"geometry": {geometry}, {rest}'
    small, large = [await sent(org, body) for body in (text, text + BLANKS)]
    assert small.status == large.status == 201
    shown = [{**one.json, "id": 0, "created_at": 0} for one in (small, large)]
    for name in ("updated_at", "valid_from", "judges_from"):
        shown[0][name] = shown[1][name]
    assert shown[0] == shown[1]
    batch = await sent(org, f"[{text}, {text}]" + BLANKS, "/v1/zones/batch")
    assert [one["geometry"] for one in batch.json["data"]] == [small.json["geometry"]] * 2
    checked = await sent(org, text + BLANKS, "/v1/zones/validate")
    assert checked.json["valid"]
    path = f"/v1/zones/{small.json['id']}"
    changed = await org.dispatcher.send(
        "PATCH", path, data=f'{{"geometry": {geometry}}}' + BLANKS, headers=JSON
    )
    assert (changed.status, changed.json["version"]) == (200, 1)  # it is as it was


async def test_a_repetition_is_known_whatever_its_blanks(org: Organization) -> None:
    text, key = f'{{"name": "x", "geometry": {POLYGON}}}', {"Idempotency-Key": "once"}
    first, second = [await sent(org, body, **key) for body in (text, text + BLANKS)]
    assert (second.status, second.json) == (201, first.json)
    assert second.headers["Idempotency-Replayed"] == "true"
    other = text.replace("9, 48", "9, 49") + BLANKS
    assert (await sent(org, other, **key)).json["code"] == "idempotency_mismatch"


async def test_the_most_vertices_are_taken(org: Organization) -> None:
    geometry = ring(100_000)
    answer = await sent(org, json.dumps({"name": "x", "geometry": geometry}))
    assert answer.status == 201
    assert answer.json["geometry"] == geometry


async def test_the_event_loop_decodes_none(api: RunningApi, org: Organization) -> None:
    """What decodes it is held, so there is no answer, though the text is no JSON."""
    shapes = api.live.state.shapes
    assert (await sent(org, "{" + BLANKS)).status == 400
    with process_held(shapes):
        asked = asyncio.create_task(sent(org, "{" + BLANKS))
        await until(lambda: asked.done() or shapes._process._one_at_a_time.locked())
        assert not asked.done()
        assert (await sent(org, "{")).status == 400
    assert (await asked).json["code"] == "invalid_json"
