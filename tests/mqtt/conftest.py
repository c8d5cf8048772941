"""Fixtures of the MQTT tests: an address, a topic of one's own, files that the broker's user can
read.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqtt import BrokerAddress
from tests.mqtt.traffic import fresh_name
from tests.servers import BrokerUnderTest


@pytest.fixture
def topic() -> str:
    return fresh_name("topic")


@pytest.fixture
def address(broker: BrokerUnderTest) -> BrokerAddress:
    return BrokerAddress.parse(broker.url)


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that a broker under another user can read; pytest's own are closed to it."""
    with tempfile.TemporaryDirectory(prefix="opsc-mqtt-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
