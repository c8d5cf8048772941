"""The organization itself, through HTTP."""

import pytest

from tests.api.running import Organization, RunningApi


async def test_everybody_sees_their_organization_and_its_admin_changes_it(
    api: RunningApi, south: Organization
) -> None:
    org = api.organization("Acme")
    seen = (await org.viewer.get("/v1/organization")).json
    assert {name: seen[name] for name in ("id", "name", "plan", "timezone")} == {
        "id": org.id,
        "name": "Acme",
        "plan": "unlimited",
        "timezone": "UTC",
    }
    changed = await org.admin.patch(
        "/v1/organization", {"name": " Acme & Sons ", "timezone": "Europe/Zurich"}
    )
    assert changed.status == 200
    assert (changed.json["name"], changed.json["timezone"]) == ("Acme & Sons", "Europe/Zurich")
    assert changed.json["updated_at"] > seen["updated_at"]
    assert (await org.viewer.get("/v1/organization")).json == changed.json
    assert (await org.admin.patch("/v1/organization", {})).json == changed.json
    assert (await south.viewer.get("/v1/organization")).json["name"] == "Acme"


async def test_only_what_was_seen_is_changed(api: RunningApi) -> None:
    org = api.organization("Acme")
    tag = (await org.admin.get("/v1/organization")).headers["ETag"]
    for wanted, status in (('"x"', 412), (tag, 200), (tag, 412)):
        answer = await org.admin.send(
            "PATCH", "/v1/organization", headers={"If-Match": wanted}, json={"name": "Other"}
        )
        assert answer.status == status


async def test_nobody_but_an_admin_changes_it(north: Organization) -> None:
    for caller in (north.viewer, north.technician, north.dispatcher):
        assert (await caller.patch("/v1/organization", {"name": "Mine"})).status == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "../../etc/passwd"}, "/timezone"),
        ({"timezone": "x" * 65}, "/timezone"),
        ({"timezone": None}, "/timezone"),
        ({"plan": "unlimited"}, "/plan"),
        ({"id": "org_x"}, "/id"),
    ],
)
async def test_what_cannot_be_is_a_422_that_points_at_it(
    north: Organization, body: dict[str, object], pointer: str
) -> None:
    answer = await north.admin.patch("/v1/organization", body)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
