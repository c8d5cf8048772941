"""The organization itself, through HTTP."""

from typing import Any

import pytest

from api.resources.organization_settings import PunchNumbers
from api.resources.zones.options import Tolerances
from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi

pytestmark = pytest.mark.own_api


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


async def test_its_admin_chooses_its_language(api: RunningApi) -> None:
    org = api.organization("Acme")
    path = "/v1/organization"
    assert (await org.viewer.get(path)).json["language"] is None
    assert (await org.dispatcher.patch(path, {"language": "de"})).status == 403
    for language, status in (("de", 200), ("fr", 422), (None, 200), ("en", 200)):
        assert (await org.admin.patch(path, {"language": language})).status == status
    assert (await org.viewer.get(path)).json["language"] == "en"
    newest, *_ = (await org.admin.get("/v1/audit-events", resource_type="organization")).json[
        "data"
    ]
    assert newest["changes"]["language"] == {"old": None, "new": "en"}


async def test_only_what_was_seen_is_changed(api: RunningApi) -> None:
    org = api.organization("Acme")
    tag = (await org.admin.get("/v1/organization")).headers["ETag"]
    for wanted, status in (('"x"', 412), (tag, 200), (tag, 412)):
        answer = await org.admin.send(
            "PATCH", "/v1/organization", headers={"If-Match": wanted}, json={"name": "Other"}
        )
        assert answer.status == status


async def test_the_days_that_the_operator_has_set_are_shown(api: RunningApi) -> None:
    org = api.organization("Acme")
    none = {"positions_days": None, "events_days": None, "audit_days": None}
    assert (await org.viewer.get("/v1/organization")).json["retention"] == none
    api.sql("UPDATE organizations SET events_days = 90 WHERE org_id = %s", org.org_id)
    seen = (await org.viewer.get("/v1/organization")).json
    assert seen["retention"] == none | {"events_days": 90}
    refused = await org.admin.patch("/v1/organization", {"retention": {"events_days": 1}})
    assert refused.status == 422


DEFAULTS = {
    **dict.fromkeys(Tolerances.model_fields),
    "max_accuracy_m": None,
    "max_speed_mps": dict.fromkeys(("vehicle", "aircraft", "vessel", "person", "other")),
    "punch_tolerance_m": None,
    "punch_policy": None,
    "punch_rules": dict.fromkeys(PunchNumbers.model_fields),
}


def settings_of(organization: dict[str, Any]) -> dict[str, Any]:
    return {name: organization[name] for name in DEFAULTS}


async def test_settings_are_defaults_until_an_admin_gives_them_one_by_one(api: RunningApi) -> None:
    org = api.organization("Acme")
    path = "/v1/organization"
    assert settings_of((await org.viewer.get(path)).json) == DEFAULTS
    given = {"max_accuracy_m": 80, "exit_buffer_m": 15, "punch_tolerance_m": 0}
    changed = await org.admin.patch(path, given | {"max_speed_mps": {"person": 60, "other": 30}})
    assert changed.status == 200, changed.content
    changed = await org.admin.patch(path, {"max_speed_mps": {"person": None, "vessel": 20}})
    speeds = DEFAULTS["max_speed_mps"] | {"vessel": 20, "other": 30}
    assert settings_of(changed.json) == DEFAULTS | given | {"max_speed_mps": speeds}
    assert (await org.viewer.get(path)).json == changed.json
    assert (await org.admin.patch(path, settings_of(changed.json))).json == changed.json
    taken_away = dict.fromkeys(DEFAULTS)
    assert settings_of((await org.admin.patch(path, taken_away)).json) == DEFAULTS
    rows = (await org.admin.get("/v1/audit-events", resource_type="organization")).json["data"]
    assert rows[-2]["changes"]["max_accuracy_m"] == {"old": None, "new": 80}


async def test_settings_of_punches_are_given_number_by_number(api: RunningApi) -> None:
    org = api.organization("Acme")
    path = "/v1/organization"
    body = {"punch_policy": "block", "punch_rules": {"max_fix_age_s": 300, "max_speed_mps": 50}}
    assert (await org.admin.patch(path, body)).status == 200
    body = {"punch_rules": {"max_speed_mps": None, "min_flight_s": 3600}}
    changed = (await org.admin.patch(path, body)).json
    assert changed["punch_policy"] == "block"
    given = {"max_fix_age_s": 300, "min_flight_s": 3600}
    assert changed["punch_rules"] == DEFAULTS["punch_rules"] | given


async def test_only_changed_settings_are_for_ingest_to_read_again(api: RunningApi) -> None:
    org = api.organization("Acme")
    query = "SELECT revision FROM zones_revision"

    async def raises(body: dict[str, Any]) -> bool:
        before = api.sql(query)
        assert (await org.admin.patch("/v1/organization", body)).status == 200
        return api.sql(query) > before

    assert not await raises({"name": "Other", "timezone": "Europe/Zurich"})
    assert await raises({"coarse_accuracy_m": 40})
    assert api.sql(
        "SELECT revision FROM organizations WHERE org_id = %s", parse_id("org", org.id)
    ) == api.sql(query)


async def test_events_of_trips_are_switched_on_and_off(api: RunningApi) -> None:
    org = api.organization("Acme")
    path, since = (
        "/v1/organization",
        "SELECT trip_events_since FROM organizations WHERE org_id = %s",
    )
    assert (await org.viewer.get(path)).json["trip_events"] is False
    assert (await org.dispatcher.patch(path, {"trip_events": True})).status == 403
    assert (await org.admin.patch(path, {"trip_events": None})).status == 422
    seen: list[Any] = []
    for is_on in (True, True, False, True):
        answer = await org.admin.patch(path, {"trip_events": is_on})
        assert (answer.status, answer.json["trip_events"]) == (200, is_on)
        seen += [row[0] for row in api.sql(since, parse_id("org", org.id))]
    first, again, off, later = seen
    assert first == again < later  # who says it twice changes nothing
    assert off is None
    newest, *_ = (await org.admin.get("/v1/audit-events", resource_type="organization")).json[
        "data"
    ]
    assert newest["changes"]["trip_events_since"]["old"] is None


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
        ({"max_accuracy_m": 0}, "/max_accuracy_m"),
        ({"max_accuracy_m": 10_001}, "/max_accuracy_m"),
        ({"punch_tolerance_m": -1}, "/punch_tolerance_m"),
        ({"exit_confirm_fixes": 0}, "/exit_confirm_fixes"),
        ({"max_speed_mps": {"person": 0}}, "/max_speed_mps/person"),
        ({"max_speed_mps": {"rocket": 9_000}}, "/max_speed_mps/rocket"),
        ({"punch_policy": "trust"}, "/punch_policy"),
        ({"punch_rules": {"max_fix_age_s": 0}}, "/punch_rules/max_fix_age_s"),
        ({"punch_rules": {"tolerance_m": 5}}, "/punch_rules/tolerance_m"),
        ({"dwell_seconds": 60}, "/dwell_seconds"),
        ({"speed_limit_mps": 10}, "/speed_limit_mps"),
    ],
)
async def test_what_cannot_be_is_a_422_that_points_at_it(
    north: Organization, body: dict[str, object], pointer: str
) -> None:
    answer = await north.admin.patch("/v1/organization", body)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
