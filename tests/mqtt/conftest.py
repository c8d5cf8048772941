"""The common parts of the MQTT tests: both event loops, an address, a topic."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from mqtt import BrokerAddress
from tests.mqtt.traffic import fresh_name
from tests.servers import BrokerUnderTest

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Run tests of the whole session on both event loops."""
    if item.module.__name__.startswith("tests.mqtt.test_session_"):  # pyright: ignore[reportAttributeAccessIssue]
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
def topic() -> str:
    return fresh_name("topic")


@pytest.fixture
def address(broker: BrokerUnderTest) -> BrokerAddress:
    return BrokerAddress.parse(broker.url)
