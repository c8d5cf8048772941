"""Gateways, through HTTP."""

from typing import Any

import pytest

from db.resources.trackers import secret_hash
from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi


async def _made(org: Organization, **body: Any) -> dict[str, Any]:
    wanted = {"name": "Traccar", "kind": "traccar"} | body
    answer = await org.dispatcher.post("/v1/gateways", wanted)
    assert answer.status == 201, answer.json
    return answer.json


def _stored(api: RunningApi, gateway: dict[str, Any]) -> bytes:
    rows = api.sql(
        "SELECT secret_hash FROM gateways WHERE id = %s",
        parse_id("gtw", gateway["id"]),
    )
    return bytes(rows[0][0])


async def test_a_gateway_shows_its_secret_once(api: RunningApi, north: Organization) -> None:
    made = await _made(north)
    path = f"/v1/gateways/{made['id']}"
    secret = made.pop("secret")
    assert (await north.viewer.get(path)).json == made
    assert made in (await north.viewer.get("/v1/gateways")).json["data"]
    assert _stored(api, made) == secret_hash(secret)
    changed = (await north.dispatcher.patch(path, {"name": "Other"})).json
    assert changed == made | {"name": "Other", "updated_at": changed["updated_at"]}
    assert _stored(api, made) == secret_hash(secret)


async def test_a_secret_is_given_anew_until_the_gateway_is_revoked(
    api: RunningApi, north: Organization
) -> None:
    made = await _made(north)
    path = f"/v1/gateways/{made['id']}"
    first = _stored(api, made)
    rotated = (await north.dispatcher.send("POST", f"{path}/rotate")).json
    assert rotated["secret"] != made["secret"]
    second = _stored(api, made)
    assert second == secret_hash(rotated["secret"]) != first
    revoked = (await north.dispatcher.send("POST", f"{path}/revoke")).json
    assert revoked["revoked_at"] is not None
    assert "secret" not in revoked
    assert (await north.dispatcher.send("POST", f"{path}/revoke")).json == revoked
    again = await north.dispatcher.send("POST", f"{path}/rotate")
    assert (again.status, again.json["code"]) == (409, "gateway_revoked")


async def test_filters_go_together(api: RunningApi) -> None:
    org = api.organization("Filtered")
    made = [await _made(org, name=kind, kind=kind) for kind in ("traccar", "chirpstack", "tts")]
    await org.admin.send("POST", f"/v1/gateways/{made[0]['id']}/revoke")
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["tts", "chirpstack", "traccar"]),
        ({"kind": "tts"}, ["tts"]),
        ({"revoked": "true"}, ["traccar"]),
        ({"revoked": "false"}, ["tts", "chirpstack"]),
        ({"revoked": "true", "kind": "tts"}, []),
    ]
    for filters, names in cases:
        listed = (await org.viewer.get("/v1/gateways", **filters)).json
        assert [row["name"] for row in listed["data"]] == names, filters
        assert listed["total"] == len(names)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"kind": "carrier pigeon"}, "/kind"),
        ({"kind": None}, "/kind"),
        ({"secret": "x"}, "/secret"),
    ],
)
async def test_what_cannot_be_is_a_422_that_points_at_it(
    north: Organization, body: dict[str, Any], pointer: str
) -> None:
    answer = await north.admin.post("/v1/gateways", {"name": "x", "kind": "tts"} | body)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


MAPPING = {"device": "/id", "lat": "/lat", "lon": "/lon"}


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ({"kind": "generic"}, "/mapping", "needs a mapping"),
        ({"mapping": MAPPING}, "/mapping", "are known: leave it out"),
        ({"mapping": {"lat": "/lat", "lon": "/lon"}}, "/mapping", "device or device_topic_level"),
        ({"mapping": MAPPING | {"device_topic_level": 1}}, "/mapping", "and not both"),
        ({"mapping": {"device": "/id", "lat": "/lat"}}, "/mapping/lon", ""),
        ({"mapping": MAPPING | {"positions": ""}}, "/mapping", "must have time"),
        ({"mapping": MAPPING | {"attributes": "x"}}, "/mapping/attributes", "must be a path"),
        ({"mapping": MAPPING | {"lat": "lat"}}, "/mapping/lat", "must be a path"),
        ({"mapping": MAPPING | {"lat": "/a~2"}}, "/mapping/lat", "must be a path"),
        ({"mapping": MAPPING | {"lat": "/a" * 9}}, "/mapping/lat", "must be a path"),
        ({"mapping": MAPPING | {"speed_unit": "mach"}}, "/mapping/speed_unit", ""),
        ({"mapping": MAPPING | {"speed_kmh": "/v"}}, "/mapping/speed_kmh", ""),
        ({"auto_register": ""}, "/auto_register", "printable"),
        ({"auto_register": " x"}, "/auto_register", "printable"),
        ({"auto_register": "x" * 65}, "/auto_register", ""),
    ],
)
async def test_a_mapping_or_a_pattern_that_cannot_be_is_told_where(
    north: Organization, body: dict[str, Any], pointer: str, said: str
) -> None:
    answer = await north.admin.post("/v1/gateways", {"name": "x", "kind": "tts"} | body)
    assert answer.status == 422
    (fault,) = answer.json["errors"]
    assert fault["pointer"] == pointer
    assert said in fault["message"]


async def test_a_mapping_is_changed_and_stays(north: Organization) -> None:
    made = await _made(north, kind="generic", mapping=MAPPING, auto_register="7*")
    kept = MAPPING | {"time_unit": "iso", "speed_unit": "mps"}
    assert (made["mapping"], made["auto_register"]) == (kept, "7*")
    path = f"/v1/gateways/{made['id']}"
    changed = await north.dispatcher.patch(path, {"mapping": MAPPING | {"time": "/at"}})
    assert changed.json["mapping"] == kept | {"time": "/at"}
    assert (await north.dispatcher.patch(path, {"auto_register": None})).json[
        "auto_register"
    ] is None
    assert (await north.dispatcher.patch(path, {"mapping": None})).status == 422
    assert (await north.viewer.get(path)).json["mapping"] == kept | {"time": "/at"}


async def test_a_gateway_keeps_its_kind(north: Organization) -> None:
    path = f"/v1/gateways/{(await _made(north))['id']}"
    assert (await north.admin.patch(path, {"kind": "tts"})).status == 422


async def test_a_viewer_and_a_technician_only_read(north: Organization) -> None:
    path = f"/v1/gateways/{(await _made(north))['id']}"
    for caller in (north.viewer, north.technician):
        for answer in (
            await caller.post("/v1/gateways", {"name": "x", "kind": "tts"}),
            await caller.patch(path, {"name": "x"}),
            await caller.send("POST", f"{path}/rotate"),
            await caller.send("POST", f"{path}/revoke"),
        ):
            assert answer.status == 403
        assert (await caller.get(path)).status == 200
