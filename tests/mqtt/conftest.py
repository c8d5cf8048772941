"""What the MQTT tests share: both event loops, an address, a topic, files for the broker."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from mqtt import BrokerAddress
from tests.mqtt.traffic import fresh_name
from tests.servers import BrokerUnderTest

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Tests of the whole session run on both event loops."""
    if item.module.__name__.startswith("tests.mqtt.test_session_"):  # pyright: ignore[reportAttributeAccessIssue]
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


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
