"""Every event of an asset that ingest writes has the documented fields, types and words."""

import json
from datetime import timedelta

from jsonschema import Draft202012Validator

from api.openapi.event_types import EVENT_KINDS
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, soon, square
from tests.waiting import until

HOME, AWAY = (13.4, 52.5), (13.4, 52.502)
STOPPED = "asset.stopped"  # deliver tells of stops


async def test_events_of_every_type_are_written_as_they_are_documented(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    """A stay that is long enough, and too fast; then its end turns out to be an earlier one."""
    rules = {"exit_confirm_fixes": 1, "dwell_seconds": 10, "speed_limit_mps": 1.5}
    await tenant.zone(square(*HOME), rules=rules)
    vehicle, at = await tenant.vehicle(), soon(-50)
    for second, place in ((0, AWAY), (1, HOME), (15, HOME), (40, AWAY), (30, AWAY)):
        moment = at + timedelta(seconds=second)
        await device.send(vehicle, fix(moment, *place, accuracy_m=5, speed_mps=2))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 5)
    rows = tenant.rows("SELECT type, data::text FROM events ORDER BY position")
    of_assets = [
        kind for kind in EVENT_KINDS if kind.name.startswith("asset.") and kind.name != STOPPED
    ]
    schemas = {kind.name: kind.data_schema() for kind in of_assets}
    assert {type_ for type_, _ in rows} == schemas.keys()
    for type_, text in rows:
        data = json.loads(text)
        Draft202012Validator(schemas[type_] | {"additionalProperties": False}).validate(data)
        assert list(data) == list(schemas[type_]["properties"])
