"""Devices after an outage: all that they have kept comes at once, more than the receive maximum.

The usual clients do not heed a receive maximum. None is cut: beyond it a connection is not read
until there is room. And whatever a connection has brought is answered before the server ends it.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread

import aiomqtt
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.clients.make import run_node
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, soon
from tests.listener.devices.test_clients import VERSIONS, run_mosquitto_pub
from tests.listener.registering import Vehicle, registered
from tests.listener.running import System, running
from tests.listener.wire import (
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBREC,
    Wire,
    packet,
    publish,
)
from tests.servers import DatabaseUnderTest
from tests.waiting import PATIENCE_S, until

MESSAGES = 2_000
FEWER = 200  # of a client that has 20 under way by itself
HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    with running(database, {"OPSC_LISTEN_TRACKER_MESSAGES_PER_S": "100000"}) as system:
        yield system


def payloads(count: int) -> list[str]:
    return [json.dumps(fix(soon(-6_000 + n), 13.4, 52.5, seq=n)) for n in range(count)]


def ended(system: System) -> dict[str, float]:
    """Return how many connections the listener has ended, by reason."""
    page = system.listener.page("/metrics")
    found = re.findall(r'^opsc_listener_ended_total{reason="(.*)"} (\S+)$', page, re.MULTILINE)
    return {reason: float(count) for reason, count in found}


def with_paho(port: int, version: int, qos: int, user: str, lines: Sequence[str]) -> None:
    """Publish before the connection, with paho-mqtt's own bound lifted: all goes out at CONNACK."""
    client = Client(
        CallbackAPIVersion.VERSION2, client_id="paho", protocol=MQTTProtocolVersion(version)
    )
    client.max_inflight_messages_set(0)
    client.username_pw_set(user, "secret")
    client.connect_async(HOST, port)
    answered: list[int] = []
    client.on_publish = lambda *arguments: answered.append(arguments[2])
    for line in lines:
        client.publish(f"trackers/{user}/fixes", line, qos)
    client.loop_start()
    try:
        asyncio.run(until(lambda: len(answered) == len(lines)))
        client.disconnect()
    finally:
        client.loop_stop()


def with_aiomqtt(port: int, version: int, qos: int, user: str, lines: Sequence[str]) -> None:
    """Publish all at once."""
    asyncio.run(_with_aiomqtt(port, version, qos, user, lines))


async def _with_aiomqtt(port: int, version: int, qos: int, user: str, lines: Sequence[str]) -> None:
    async with aiomqtt.Client(
        HOST,
        port,
        username=user,
        password="secret",
        protocol=aiomqtt.ProtocolVersion(version),
        max_inflight_messages=65_535,
        max_concurrent_outgoing_calls=len(lines),
        timeout=PATIENCE_S,
    ) as client:
        topic = f"trackers/{user}/fixes"
        await asyncio.gather(*(client.publish(topic, line, qos=qos) for line in lines))


def with_mqtt_js(port: int, version: int, qos: int, user: str, lines: Sequence[str]) -> None:
    """Publish all at once: what MQTT.js has kept from before, it sends one after the other."""
    topic, file = f"trackers/{user}/fixes", Path(f"{user}.jsonl").absolute()
    file.write_text("\n".join(lines))
    url = f"mqtt://{HOST}:{port}"
    run_node("backlog.js", url, str(version), user, "secret", topic, str(qos), file)


def with_mosquitto_pub(port: int, version: int, qos: int, user: str, lines: Sequence[str]) -> None:
    """Publish the lines of its input."""
    run_mosquitto_pub(
        *("-h", HOST, "-p", str(port), "-V", VERSIONS[version], "-q", str(qos), "-l"),
        *("-u", user, "-P", "secret", "-t", f"trackers/{user}/fixes"),
        lines="\n".join(lines) + "\n",
    )


def by_hand(port: int, version: int, qos: int, user: str, lines: Sequence[str]) -> None:
    """Send every PUBLISH before an answer is read, and every PUBREL behind the last of them."""
    topic = f"trackers/{user}/fixes"
    ids = range(1, len(lines) + 1)
    data = b"".join(
        publish(topic, line.encode(), number, version=version, qos=qos)
        for number, line in zip(ids, lines, strict=True)
    )
    with Wire.signed_in(port, user, version=version) as wire:
        sending = Thread(target=wire.send, args=[data])
        sending.start()
        assert answers(wire, PUBACK if qos == 1 else PUBREC, len(lines)) == list(ids)
        sending.join()
        if qos == 2:
            wire.send(b"".join(packet(0x62, number.to_bytes(2)) for number in ids))
            assert answers(wire, PUBCOMP, len(lines)) == list(ids)


def answers(wire: Wire, kind: int, count: int) -> list[int]:
    """Read a number of answers of a kind; returns their packet ids."""
    found: list[int] = []
    for _ in range(count):
        read = wire.read()
        assert read is not None
        assert read[0] == kind
        found.append(int.from_bytes(read[1][:2]))
    return found


CLIENTS = [
    (by_hand, MESSAGES),
    (with_paho, MESSAGES),
    (with_aiomqtt, MESSAGES),
    (with_mqtt_js, MESSAGES),
    (with_mosquitto_pub, FEWER),
]


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize(("send", "count"), CLIENTS)
async def test_all_that_a_device_has_kept_is_answered_on_one_connection(
    system: System,
    tenant: Tenant,
    send: Callable[..., None],
    count: int,
    version: int,
    qos: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    vehicle = await registered(tenant)
    before = ended(system)
    lines = payloads(count)
    await asyncio.to_thread(send, system.port, version, qos, vehicle.name, lines)
    assert ended(system) == before
    stored = tenant.rows("SELECT count(*), count(DISTINCT seq) FROM gps_events")
    assert stored == [(count, count)]


async def test_what_came_before_a_violation_is_answered_before_the_connection_ends(
    system: System, tenant: Tenant
) -> None:
    vehicle: Vehicle = await registered(tenant)
    topic = f"trackers/{vehicle.name}/fixes"
    good = b"".join(
        publish(topic, line.encode(), number + 1) for number, line in enumerate(payloads(50))
    )
    with Wire.signed_in(system.port, vehicle.name) as wire:
        wire.send(good + packet(0x36, b"of QoS 3"))
        assert answers(wire, PUBACK, 50) == list(range(1, 51))
        last = wire.read()
        assert last is not None
        assert (last[0], last[1][0]) == (DISCONNECT, 0x81)
        assert wire.read() is None
