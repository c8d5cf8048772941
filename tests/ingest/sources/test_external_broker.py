"""docs/devices.md: a mosquitto with exactly the settings of the page does what the page says."""

import asyncio
import base64
import os
from collections.abc import Callable
from hashlib import pbkdf2_hmac
from pathlib import Path

import pytest

from mqtt import BrokerAddress, ConnectRefusedError, Session, SessionOptions, Subscription
from stack.host.os_user import hand_over, service_identity
from telemetry.formats.decode import SUBSCRIPTIONS
from tests.servers import BrokerUnderTest, beside

PAGE = (Path(__file__).parents[3] / "docs" / "devices.md").read_text()
SECRETS = {"opsc-ingest": "ingest's", "trk_a": "secret of a", "trk_b": "secret of b"}
WAITING = 1_500  # more than mosquitto keeps by default


def block(first_line: str) -> list[str]:
    """Return the indented block of the page that begins with a line."""
    lines = PAGE[PAGE.index(f"    {first_line}\n") :].splitlines()
    end = next(n for n, line in enumerate(lines) if line and not line.startswith("    "))
    return [line.strip() for line in lines[:end]]


def password_line(user: str, secret: str) -> str:
    """Return a line as mosquitto_passwd writes it."""
    salt = os.urandom(12)
    digest = pbkdf2_hmac("sha512", secret.encode(), salt, 101)
    return f"{user}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


@pytest.fixture
def broker(
    private_broker: Callable[..., BrokerUnderTest], readable_folder: Path
) -> BrokerUnderTest:
    settings = dict(line.split(" ", 1) for line in block("listener 1883 127.0.0.1") if line)
    texts = {
        "password_file": [password_line(*one) for one in SECRETS.items()],
        "acl_file": block("user opsc-ingest"),
    }
    for name, lines in texts.items():
        path = readable_folder / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)
        hand_over(path, service_identity())
        settings[name] = str(path)
    del settings["listener"], settings["persistence_location"]  # the test's own
    return private_broker(**settings)


def session(broker: BrokerUnderTest, user: str, secret: str | None = None) -> Session:
    is_ingest = user == "opsc-ingest"
    filters = SUBSCRIPTIONS if is_ingest else ()
    options = SessionOptions(
        client_id=user,
        username=user,
        password=(secret or SECRETS[user]).encode(),
        session_expiry_s=3600 if is_ingest else 0,
        subscriptions=tuple(Subscription(one) for one in filters),
    )
    return Session(BrokerAddress.parse(broker.url), options)


async def test_what_devices_send_waits_for_ingest_and_outlives_a_restart(
    broker: BrokerUnderTest,
) -> None:
    async with session(broker, "opsc-ingest") as ingest, asyncio.timeout(30):
        await ingest.connected.wait()
    async with session(broker, "trk_a") as tracker, asyncio.timeout(60):
        await tracker.connected.wait()
        for number in range(WAITING):
            await tracker.publish("trackers/trk_a/fixes", b"%d" % number, qos=1)
    await beside(broker.restart)
    received: list[int] = []
    async with session(broker, "opsc-ingest") as ingest, asyncio.timeout(60):
        while len(received) < WAITING:
            received += [int(message.payload) for message in await ingest.receive()]
    assert received == list(range(WAITING))


async def test_a_device_gets_in_with_its_secret_and_writes_its_own_topics_alone(
    broker: BrokerUnderTest,
) -> None:
    with pytest.raises(ConnectRefusedError):
        async with session(broker, "trk_a", "secret of b") as tracker, asyncio.timeout(30):
            await tracker.connected.wait()
    async with session(broker, "opsc-ingest") as ingest, asyncio.timeout(60):
        await ingest.connected.wait()
        async with session(broker, "trk_b") as tracker:
            await tracker.connected.wait()
            await tracker.publish("trackers/trk_a/fixes", b"{}", qos=0)
            await tracker.publish("trackers/trk_b/fixes", b"{}", qos=1)
        (message,) = await ingest.receive()
        assert message.topic == "trackers/trk_b/fixes"
