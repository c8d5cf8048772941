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


async def test_the_log_shows_what_the_named_tracker_sends_and_nothing_of_others(
    tenant: Tenant,
) -> None:
    shown, other = await tenant.vehicle(), await tenant.vehicle()
    good, bad = fix(soon(-60), 13.4, 52.5, speed_mps=4.5), fix(soon(-59), 13.4, 99)
    with running(tenant.database, {"OPSC_LISTEN_SHOW": shown.name}) as system:
        for vehicle in (other, shown):
            secret = secrets.token_urlsafe(32)
            await rotate(tenant, vehicle.tracker_id, secret)
            options = SessionOptions(vehicle.name, username=vehicle.name, password=secret.encode())
            async with Session(BrokerAddress.parse(system.url), options) as session:
                content = json.dumps([good, bad]).encode()
                await session.publish(f"trackers/{vehicle.name}/fixes", content, qos=1)
        lines = [json.loads(line) for line in system.listener.log.read_text().splitlines()]
    told = [line for line in lines if line["event"].startswith(("message of", "in it"))]
    assert [line["event"] for line in told] == [
        "message of the shown tracker",
        "in it: fix",
        "in it: refused",
    ]
    assert (told[0]["topic"], told[0]["format"]) == (f"trackers/{shown.name}/fixes", "native")
    assert (told[1]["lat"], told[1]["lon"], told[1]["speed_mps"]) == (52.5, 13.4, 4.5)
    assert (told[2]["what"], told[2]["reason"]) == ("number 1", "bad_coordinate")
    assert not any(other.name in json.dumps(line) for line in told)
