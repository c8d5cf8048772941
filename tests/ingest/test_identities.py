"""Nobody gets into the broker who should not: a real broker, kept by a real ingest."""

import asyncio
import contextlib
import json
import secrets
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
import pytest

from db import trackers
from db.connect import connect
from db.revision import bump
from db.tenant import act_for
from device_sim.plan import SimTracker
from ingest.broker_files import PASSWORDS, BrokerFiles
from ingest.broker_log import BrokerLog
from ingest.identities import keep
from ingest.owner import Ownership
from mqtt import (
    BrokerAddress,
    ConnectionLostError,
    ConnectRefusedError,
    PublishRefusedError,
    Session,
    SessionOptions,
    Subscription,
)
from stack.broker import INGEST_USER, MONITOR_USER, BrokerTls
from stack.servers import free_port
from stack.sign_in import known_to_broker
from stack.tls import Certificate, certificate_of
from tests.ingest.conftest import PATIENCE_S, fix, ownership, running, until
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import BrokerUnderTest, DatabaseUnderTest, Servers

HOME = (13.4, 52.5)
_START = soon(-600)
_STORED = "SELECT tracker_id, time FROM gps_events ORDER BY time"


class Guarded:
    """A guarded broker with the ingest that keeps it, and devices that come to it."""

    def __init__(self, broker: BrokerUnderTest, owner: Ownership, tenant: Tenant) -> None:
        self.broker, self.owner, self.tenant = broker, owner, tenant
        self.address = BrokerAddress.parse(broker.url)

    async def registered(self) -> tuple[Vehicle, str]:
        """A vehicle whose tracker the broker lets in, and the tracker's secret."""
        vehicle = await self.tenant.vehicle()
        secret = await self.rotated(vehicle)
        await known_to_broker(self.address, SimTracker(vehicle.name, secret))
        return vehicle, secret

    async def rotated(self, vehicle: Vehicle) -> str:
        """Another secret, as the API gives it."""
        secret = secrets.token_urlsafe(32)
        conn = await connect(self.tenant.database.url("opsc_app"), "test")
        async with conn, conn.transaction():
            await act_for(conn, self.tenant.org_id)
            revision, at = await bump(conn)
            tracker = await trackers.find(conn, vehicle.tracker_id)
            assert tracker is not None
            await trackers.rotate(conn, tracker._replace(updated_at=at), secret, revision)
        return secret

    def refused(self, kind: str) -> int:
        prefix = f'opsc_ingest_broker_refused_total{{kind="{kind}"}} '
        page = self.owner.metrics.page().decode().splitlines()
        return next(int(float(line.removeprefix(prefix))) for line in page if prefix in line)

    async def until_refused(self, kind: str, count: int) -> None:
        await until(lambda: self.refused(kind) >= count)
        assert self.refused(kind) == count


def options(user: str | None, secret: str | None, *filters: str) -> SessionOptions:
    return SessionOptions(
        client_id=user or "nobody",
        username=user,
        password=None if secret is None else secret.encode(),
        clean_start=True,
        subscriptions=tuple(Subscription(topic_filter) for topic_filter in filters),
    )


@contextlib.asynccontextmanager
async def device(
    address: BrokerAddress, user: str | None, secret: str | None, *filters: str
) -> AsyncIterator[Session]:
    """A client that is connected; raises the error that kept it out."""
    async with Session(address, options(user, secret, *filters)) as session:
        await asyncio.wait_for(session.connected.wait(), PATIENCE_S)
        yield session


async def refuse(address: BrokerAddress, user: str | None, secret: str | None) -> None:
    with pytest.raises(ConnectRefusedError):
        async with device(address, user, secret):
            pass


def body(second: int) -> bytes:
    return json.dumps(fix(_START + timedelta(seconds=second), *HOME)).encode()


@contextlib.asynccontextmanager
async def guarding(
    servers: Servers, database: DatabaseUnderTest, tls: BrokerTls | None = None
) -> AsyncIterator[Guarded]:
    broker = servers.start_guarded_broker(tls)
    owner = ownership(database.url("opsc_ingest"), broker.url, INGEST_USER)
    owner.session_options = replace(
        owner.session_options,
        username=INGEST_USER,
        password=broker.services[INGEST_USER].encode(),
    )
    tenant = await Tenant.create(database)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep(owner, BrokerFiles(broker.home), BrokerLog(broker.log)))
        async with running(owner):
            yield Guarded(broker, owner, tenant)


@pytest.fixture
async def guarded(private_servers: Servers, database: DatabaseUnderTest) -> AsyncIterator[Guarded]:
    async with guarding(private_servers, database) as it:
        yield it


async def test_nobody_gets_in_without_an_identity_and_its_secret(guarded: Guarded) -> None:
    (mine, my_secret), (other, other_secret) = [await guarded.registered() for _ in range(2)]
    before = guarded.refused("sign_in")
    await refuse(guarded.address, mine.name, other_secret)
    await refuse(guarded.address, other.name, my_secret)
    await refuse(guarded.address, "trk_nobody", my_secret)
    await refuse(guarded.address, INGEST_USER, my_secret)
    await refuse(guarded.address, mine.name, None)
    await refuse(guarded.address, None, None)
    await guarded.until_refused("sign_in", before + 6)


async def test_a_tracker_reaches_its_own_topics_alone(guarded: Guarded) -> None:
    (mine, my_secret), (other, other_secret) = [await guarded.registered() for _ in range(2)]
    topics = [
        f"trackers/{other.name}/fixes",
        f"trackers/{other.name}/ack",
        f"owntracks/{other.name}/phone",
        f"owntracks/{mine.name}/phone",
        f"trackers/{mine.name}/ack",
        f"trackers/{mine.name}/anything/else",
        "$CONTROL/dynamic-security/v1",
        "$SYS/broker/uptime",
        "anything",
    ]
    for topic in topics:
        async with device(guarded.address, mine.name, my_secret) as session:
            with pytest.raises(PublishRefusedError):
                await session.publish(topic, body(0))
    await guarded.until_refused("publish", len(topics))
    async with device(guarded.address, other.name, other_secret) as session:
        await session.publish(f"trackers/{other.name}/fixes", body(1))
    await until(lambda: len(guarded.tenant.rows("SELECT FROM gps_events")) == 1)
    stored = guarded.tenant.rows("SELECT tracker_id, time FROM gps_events")
    assert stored == [(other.tracker_id, _START + timedelta(seconds=1))]
    assert guarded.tenant.rows("SELECT FROM quarantine") == []


async def test_with_mqtt_3_1_1_a_refused_message_is_acknowledged_and_goes_nowhere(
    guarded: Guarded,
) -> None:
    (mine, secret), (other, _) = [await guarded.registered() for _ in range(2)]
    client = aiomqtt.Client(
        "127.0.0.1",
        guarded.broker.port,
        username=mine.name,
        password=secret,
        protocol=aiomqtt.ProtocolVersion.V311,
        timeout=2,
    )
    with contextlib.suppress(aiomqtt.MqttError):  # the broker ends the connection after it
        async with client:
            await client.publish(f"trackers/{other.name}/fixes", body(0), qos=1)
    await guarded.until_refused("publish", 1)
    async with device(guarded.address, mine.name, secret) as session:
        await session.publish(f"trackers/{mine.name}/fixes", body(1))
    await until(lambda: len(guarded.tenant.rows("SELECT FROM gps_events")) == 1)
    assert guarded.tenant.rows("SELECT tracker_id FROM gps_events") == [(mine.tracker_id,)]


async def test_a_tracker_hears_its_own_receipts_alone(guarded: Guarded) -> None:
    (mine, my_secret), (other, other_secret) = [await guarded.registered() for _ in range(2)]
    for vehicle in (mine, other):
        await guarded.tenant.wants_receipts(vehicle)
    filters = ("#", "$SYS/#", f"trackers/{other.name}/ack", f"trackers/{mine.name}/ack")
    async with device(guarded.address, mine.name, my_secret, *filters) as listening:
        own = f"trackers/{other.name}/ack"
        async with device(guarded.address, other.name, other_secret, own) as session:
            await session.publish(f"trackers/{other.name}/fixes", body(1))
            assert [message.topic for message in await session.receive()] == [own]
        await listening.publish(f"trackers/{mine.name}/fixes", body(2))
        heard = await asyncio.wait_for(listening.receive(), PATIENCE_S)
    assert {message.topic for message in heard} == {f"trackers/{mine.name}/ack"}
    await guarded.until_refused("subscribe", 3)


async def test_the_monitor_reads_what_the_broker_says_of_itself(guarded: Guarded) -> None:
    secret = guarded.broker.services[MONITOR_USER]
    version = "$SYS/broker/version"
    async with device(guarded.address, MONITOR_USER, secret, version) as session:
        told = await asyncio.wait_for(session.receive(), PATIENCE_S)
    assert [message.topic for message in told] == [version]


async def test_nobody_takes_over_a_session_by_its_client_id(guarded: Guarded) -> None:
    mine, secret = await guarded.registered()
    thief = replace(options(mine.name, secret, "trackers/+/fixes"), client_id=INGEST_USER)
    async with Session(guarded.address, thief) as session:
        await asyncio.wait_for(session.connected.wait(), PATIENCE_S)
        await session.publish(f"trackers/{mine.name}/fixes", body(1))
        await until(lambda: len(guarded.tenant.rows("SELECT FROM gps_events")) == 1)
    assert guarded.owner.session is not None
    assert guarded.owner.session.counters.disconnects == 0


@pytest.mark.parametrize("how", ["revoked", "rotated"])
async def test_a_connection_ends_with_the_secret_it_was_made_with(
    guarded: Guarded, how: str
) -> None:
    mine, secret = await guarded.registered()
    other, other_secret = await guarded.registered()
    topic = f"trackers/{mine.name}/fixes"
    async with (
        device(guarded.address, other.name, other_secret) as bystander,
        device(guarded.address, mine.name, secret) as session,
    ):
        await session.publish(topic, body(1))
        if how == "revoked":  # what is not stored by then is kept in quarantine
            await until(lambda: len(guarded.tenant.rows(_STORED)) >= 1)
            await guarded.tenant.revoke(mine)
        else:
            new = await guarded.rotated(mine)
            await known_to_broker(guarded.address, SimTracker(mine.name, new))
        with pytest.raises(ConnectRefusedError):  # cut off, it came again by itself
            await _publish_on(session, topic)
        assert bystander.counters.disconnects == 0
        await bystander.publish(f"trackers/{other.name}/fixes", body(0))
    await refuse(guarded.address, mine.name, secret)
    if how == "revoked":
        await until(lambda: len(guarded.tenant.rows(_STORED)) >= 2)
        expected = [(other.tracker_id, 0), (mine.tracker_id, 1)]
        assert guarded.tenant.rows(_STORED) == [
            (tracker_id, _START + timedelta(seconds=second)) for tracker_id, second in expected
        ]


async def _publish_on(session: Session, topic: str) -> None:
    for second in range(2, 10_000):
        await session.publish(topic, body(second))


async def test_a_broker_that_has_lost_its_list_gets_it_again(guarded: Guarded) -> None:
    mine, secret = await guarded.registered()
    guarded.broker.kill()
    (guarded.broker.home / PASSWORDS).unlink()
    guarded.broker.start()
    await known_to_broker(guarded.address, SimTracker(mine.name, secret))
    (guarded.broker.home / PASSWORDS).write_bytes(b"\xff\n")  # somebody's mistake
    new = await guarded.rotated(mine)
    await known_to_broker(guarded.address, SimTracker(mine.name, new))


async def test_sessions_that_end_by_themselves_disturb_nobody(guarded: Guarded) -> None:
    """mosquitto would end them twice, and others with them, if it checked them while away."""
    away = [await guarded.registered() for _ in range(10)]
    others = [await guarded.registered() for _ in range(3)]
    for vehicle, secret in away:
        ending = replace(options(vehicle.name, secret), clean_start=False, session_expiry_s=4)
        async with Session(guarded.address, ending) as session:
            await asyncio.wait_for(session.connected.wait(), PATIENCE_S)
    for vehicle, _ in away[:5]:
        await guarded.tenant.revoke(vehicle)
    guarded.broker.restart()  # what is left of them is restored
    others.append(await guarded.registered())
    ends = asyncio.get_running_loop().time() + 8
    async with contextlib.AsyncExitStack() as connected:
        sessions = [
            await connected.enter_async_context(device(guarded.address, vehicle.name, secret))
            for vehicle, secret in others
        ]
        while asyncio.get_running_loop().time() < ends:
            await guarded.registered()  # connects, too, in the room of what is freed
        assert [session.counters.disconnects for session in sessions] == [0] * len(sessions)
    assert guarded.broker.process.exit_code is None
    told = guarded.broker.log.read_text().splitlines()
    expired = [
        line.partition("Expiring client ")[2].split()[0] for line in told if "xpiring" in line
    ]
    assert sorted(expired) == sorted(vehicle.name for vehicle, _ in away)


@pytest.mark.parametrize("left", ["", "x", ":", "trk_1", "trk_1:$7$1$c2FsdA==", "\n\n:\n"])
async def test_a_list_with_nonsense_lets_nobody_in_and_the_next_one_counts(
    guarded: Guarded, left: str
) -> None:
    vehicle, secret = await guarded.registered()
    async with device(guarded.address, vehicle.name, secret) as session:
        (guarded.broker.home / PASSWORDS).write_text(left)  # ingest will see that it is not its own
        await until(lambda: session.counters.disconnects > 0)
    await known_to_broker(guarded.address, SimTracker(vehicle.name, secret))


async def test_the_tls_listener_speaks_tls_1_3_and_wants_the_secret_too(
    private_servers: Servers, database: DatabaseUnderTest, readable_folder: Path
) -> None:
    certificate = certificate_of(readable_folder, develop=True)
    assert certificate is not None
    authority = certificate.chain  # it vouches for itself: good as the clients' authority, too
    tls = BrokerTls(certificate.chain, certificate.key, free_port(0), client_ca=authority)
    async with guarding(private_servers, database, tls) as it:
        mine, secret = await it.registered()
        url = it.broker.tls_url or ""
        with_certificate = BrokerAddress.parse(
            url, ca_file=authority, certificate_file=certificate.chain, key_file=certificate.key
        )
        async with device(with_certificate, mine.name, secret) as session:
            await session.publish(f"trackers/{mine.name}/fixes", body(1))
        await until(lambda: len(it.tenant.rows("SELECT FROM gps_events")) == 1)
        await refuse(with_certificate, mine.name, None)
        await refuse(with_certificate, mine.name, "wrong")
        before = it.refused("tls")
        for address in (
            BrokerAddress.parse(url, ca_file=authority),  # without a certificate of its own
            BrokerAddress.parse(url.replace("mqtts", "mqtt")),  # without TLS
        ):
            async with Session(address, options(mine.name, secret)) as session:
                await until(lambda session=session: session.last_error is not None)
                assert isinstance(session.last_error, ConnectionLostError)
        with pytest.raises(ssl.SSLError):
            _tls_1_2(url, certificate)
        await until(lambda: it.refused("tls") >= before + 3)
        await it.tenant.revoke(mine)
        await until(lambda: mine.name not in (it.broker.home / PASSWORDS).read_text())
        await until(lambda: _is_refused(with_certificate, mine.name, secret))


async def _is_refused(address: BrokerAddress, user: str, secret: str) -> bool:
    try:
        async with device(address, user, secret):
            return False
    except ConnectRefusedError:
        return True


def _tls_1_2(url: str, certificate: Certificate) -> None:
    context = ssl.create_default_context(cafile=certificate.chain)
    context.load_cert_chain(certificate.chain, certificate.key)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname),
    ):
        pass
