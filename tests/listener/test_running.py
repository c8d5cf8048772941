"""A listener and an ingest together: a fix of a device is stored when it is acknowledged."""

import json
import secrets

import pytest

from mqtt import BrokerAddress, Session, SessionOptions
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, soon
from tests.listener.registering import rotate
from tests.listener.running import running


@pytest.mark.fresh_start
async def test_what_is_acknowledged_is_stored_over_a_killed_ingest(tenant: Tenant) -> None:
    vehicle, secret = await tenant.vehicle(), secrets.token_urlsafe(32)
    await rotate(tenant, vehicle.tracker_id, secret)
    options = SessionOptions(vehicle.name, username=vehicle.name, password=secret.encode())
    with running(tenant.database) as system:
        async with Session(BrokerAddress.parse(system.url), options) as session:
            for number in range(3):
                content = json.dumps(fix(soon(-60 + number), 13.4, 52.5)).encode()
                await session.publish(f"trackers/{vehicle.name}/fixes", content, qos=1)
                assert len(tenant.rows("SELECT FROM gps_events")) == number + 1
                system.ingest.kill()
                system.ingest.start()
