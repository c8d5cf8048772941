"""Clients of others, unchanged: every version that they speak, every QoS, with and without TLS.

paho and aiomqtt come with our packages, MQTT.js with the tools of `clients/`, and mosquitto_pub is
the system's or fetched. Each publishes three fixes, with QoS 0, 1 and 2, and ends once all of them
are answered.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiomqtt
import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from stack.host.programs import library_path, provided, servers_dir
from stack.servers.postgres import free_port
from tests.audit.certificates import write_certificates
from tests.clients.make import run_node
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, soon
from tests.listener.registering import registered
from tests.listener.running import running
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.waiting import PATIENCE_S, until

HOST = "localhost"  # the name in the certificate
ALL_QOS = (0, 1, 2)
VERSIONS = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}


class Program(NamedTuple):
    path: Path
    root: Path


@dataclass(frozen=True)
class Ports:
    """The ports at which devices connect. authority: the file of who vouches for the TLS port."""

    plain: int
    tls: int
    authority: Path


@dataclass(frozen=True)
class Sending:
    """The task of a client. port: with TLS where there is an authority."""

    port: int
    authority: Path | None
    version: int
    user: str
    secret: str
    topic: str
    payloads: Sequence[str]


def with_paho(sending: Sending) -> None:
    """Publish with paho-mqtt."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id="paho",
        protocol=MQTTProtocolVersion(sending.version),
    )
    client.username_pw_set(sending.user, sending.secret)
    if sending.authority is not None:
        client.tls_set(str(sending.authority))
    client.connect(HOST, sending.port)
    client.loop_start()
    try:
        sent = [client.publish(sending.topic, one, q) for q, one in enumerate(sending.payloads)]
        for one in sent:
            one.wait_for_publish(PATIENCE_S)
            assert one.is_published()
        client.disconnect()
    finally:
        client.loop_stop()


def with_aiomqtt(sending: Sending) -> None:
    """Publish with aiomqtt."""
    asyncio.run(_with_aiomqtt(sending))


async def _with_aiomqtt(sending: Sending) -> None:
    authority = sending.authority
    tls = None if authority is None else aiomqtt.TLSParameters(ca_certs=str(authority))
    async with aiomqtt.Client(
        HOST,
        sending.port,
        username=sending.user,
        password=sending.secret,
        protocol=aiomqtt.ProtocolVersion(sending.version),
        tls_params=tls,
        timeout=PATIENCE_S,
    ) as client:
        for qos, payload in enumerate(sending.payloads):
            await client.publish(sending.topic, payload, qos=qos)


def with_mqtt_js(sending: Sending) -> None:
    """Publish with MQTT.js."""
    scheme = "mqtt" if sending.authority is None else "mqtts"
    run_node(
        "publish.js",
        f"{scheme}://{HOST}:{sending.port}",
        str(sending.version),
        sending.user,
        sending.secret,
        sending.topic,
        sending.authority or "",
        *sending.payloads,
    )


def with_mosquitto_pub(sending: Sending) -> None:
    """Publish with mosquitto_pub, one call a message."""
    trust = [] if sending.authority is None else ["--cafile", str(sending.authority)]
    for qos, payload in enumerate(sending.payloads):
        run_mosquitto_pub(
            *("-h", HOST, "-p", str(sending.port), *trust),
            *("-V", VERSIONS[sending.version], "-q", str(qos), "-i", "mosquitto"),
            *("-u", sending.user, "-P", sending.secret),
            *("-t", sending.topic, "-m", payload),
        )


def run_mosquitto_pub(*arguments: str, lines: str = "") -> None:
    """Run the system's mosquitto_pub, or a fetched one. lines: its input."""
    program = provided(servers_dir() / "mosquitto-clients", ("mosquitto-clients",), _mosquitto_pub)
    subprocess.run(
        [str(program.path), *arguments],
        env={**os.environ, **library_path(program.root)},
        input=lines,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )


def _mosquitto_pub(roots: Sequence[Path]) -> Program | None:
    found = (Program(root / "usr/bin/mosquitto_pub", root) for root in roots)
    return next((program for program in found if program.path.exists()), None)


@pytest.fixture(scope="module")
def ports(database: DatabaseUnderTest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    authority, chain, key = write_certificates(tmp_path_factory.mktemp("certificates"))
    tls = free_port(ANY_PORT)
    settings = {
        "OPSC_LISTEN_TLS_PORT": str(tls),
        "OPSC_TLS_CERT": str(chain),
        "OPSC_TLS_KEY": str(key),
    }
    with running(database, settings) as system:
        yield Ports(system.port, tls, authority)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("publish", [with_paho, with_aiomqtt, with_mqtt_js, with_mosquitto_pub])
async def test_what_a_client_publishes_is_answered_and_stored(
    ports: Ports, tenant: Tenant, publish: Callable[[Sending], None], version: int, tls: bool
) -> None:
    vehicle = await registered(tenant)
    payloads = [json.dumps(fix(soon(-60 + qos), 13.4, 52.5, seq=qos)) for qos in ALL_QOS]
    sending = Sending(
        port=ports.tls if tls else ports.plain,
        authority=ports.authority if tls else None,
        version=version,
        user=vehicle.name,
        secret="secret",
        topic=f"trackers/{vehicle.name}/fixes",
        payloads=payloads,
    )
    await asyncio.to_thread(publish, sending)
    stored = "SELECT seq FROM gps_events ORDER BY seq"
    expected = [(qos,) for qos in ALL_QOS]
    await until(lambda: tenant.rows(stored) == expected)  # QoS 0 has no answer
