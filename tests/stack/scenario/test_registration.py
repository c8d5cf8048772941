"""A zone of a file reaches the API with all that its properties say."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from geofence.shapes.geojson import read_zones
from stack.scenario.api_client import ApiClient, ApiError
from stack.scenario.registration import register
from stack.scenario.scenario import Scenario
from stack.scenario.zones import zones_of_features
from stack.verify.shared_organization import read_settings
from tests.api.running import RunningApi, running_api
from tests.api.shapes import point, square
from tests.servers import DatabaseUnderTest

NIGHTS = {
    "timezone": "Europe/Zurich",
    "windows": [{"days": ["mon"], "from": "18:00", "to": "06:00"}],
}


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    with running_api(database) as running:
        yield running


def scenario(**properties: Any) -> Scenario:
    """Return one zone with properties, and one with none; one device."""
    features = [
        {"type": "Feature", "id": "asks", "geometry": point(13.4, 52.5), "properties": properties},
        {"type": "Feature", "id": "plain", "geometry": square(), "properties": {"colour": "red"}},
    ]
    document = {"type": "FeatureCollection", "features": features}
    zones = zones_of_features(read_zones(json.dumps(document).encode()), pytest.fail)
    return Scenario(["sim-1"], zones, lambda _start: iter(()), oldest_us=0, fixes=0)


async def test_rules_and_hours_in_a_zone_file_are_those_of_the_zone_that_is_made(
    api: RunningApi,
) -> None:
    org = api.organization("Acme")
    wanted = {"radius_m": 80, "kind": "yard", "alert_on": ["exit"], "schedule": NIGHTS}
    rules = {"dwell_seconds": 600, "exit_confirm_fixes": 3, "exit_buffer_m": 12.5}
    async with ApiClient(api.url, org.admin.token) as client:
        registered = await register(client, scenario(**wanted, **rules, colour="blue"))
    asks, plain = [
        (await org.viewer.get(f"/v1/zones/{zone_id}")).json for zone_id in registered.zone_ids
    ]
    assert {name: asks[name] for name in wanted | rules} == wanted | rules
    assert {name: plain[name] for name in rules} == dict.fromkeys(rules)
    assert (plain["kind"], plain["schedule"]) == ("restricted", None)


async def test_a_rule_that_cannot_be_is_said_by_the_api(api: RunningApi) -> None:
    org = api.organization("Acme")
    async with ApiClient(api.url, org.admin.token) as client:
        with pytest.raises(ExceptionGroup) as raised:
            await register(client, scenario(radius_m=80, dwell_seconds="long"))
    (error,) = raised.value.exceptions
    assert isinstance(error, ApiError)
    assert error.status == 422
    assert "dwell_seconds" in error.detail


async def test_settings_of_an_organization_are_read_as_a_run_there_is_judged(
    api: RunningApi,
) -> None:
    org = api.organization("Acme")
    async with ApiClient(api.url, org.admin.token) as client:
        rules, gates = await read_settings(client)
        assert rules == {}
        assert (gates.default_max_speed_mps, gates.default_max_accuracy_m) == (150, 200)
        given = {"exit_buffer_m": 15, "max_accuracy_m": 80, "max_speed_mps": {"other": 30}}
        await client.patch("/v1/organization", given)
        rules, gates = await read_settings(client)
    assert rules == {"exit_buffer_m": 15}
    assert (gates.default_max_speed_mps, gates.default_max_accuracy_m) == (30, 80)
