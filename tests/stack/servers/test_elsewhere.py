"""Servers that settings name are asked before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from stack.errors import StackError
from stack.servers.elsewhere import require_broker, require_database
from stack.servers.postgres import free_port
from tests.servers import BrokerUnderTest, DatabaseUnderTest


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where somebody listens and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_what_answers_is_good(broker: BrokerUnderTest, database: DatabaseUnderTest) -> None:
    require_broker(broker.url)
    require_database(database.url("admin"))


def test_a_broker_that_is_not_there_is_said_with_its_setting() -> None:
    port = free_port(0)
    with pytest.raises(StackError, match=f"OPSC_BROKER_URL: .*127.0.0.1:{port}.*refused"):
        require_broker(f"mqtt://127.0.0.1:{port}")
    with pytest.raises(StackError, match="OPSC_BROKER_URL: broker URL must start with mqtt://"):
        require_broker("http://127.0.0.1")


def test_a_database_that_is_not_there_is_said_with_its_setting(silent: str) -> None:
    for place in (f"127.0.0.1:{free_port(0)}", silent):
        with pytest.raises(StackError, match="OPSC_DATABASE_URL: ") as refused:
            require_database(f"postgresql://opsc:hidden@{place}/opsc")
        assert "hidden" not in str(refused.value)
