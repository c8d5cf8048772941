"""Connections that have not signed in: few of an address, and the longest silent makes place."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from api.http import server
from api.http.strangers import MOST_OF_ADDRESS, Strangers, counted_address
from tests.api.live.reading import stranger
from tests.api.running import RunningApi, running_api
from tests.servers import DatabaseUnderTest
from tests.waiting import until

HALF = b"GET /v1/assets HTTP/1.1\r\nHost: x\r\n"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
NO_BODY = (
    b"POST /v1/auth/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{"
)


class Silent:
    """A connection for `Strangers`. answering: it cannot make place."""

    def __init__(self, *, answering: bool = False) -> None:
        self.answering, self.is_open = answering, True

    def make_place(self) -> bool:
        if self.answering:
            return False
        self.is_open = False
        return True


def test_one_more_of_an_address_takes_the_place_of_the_longest_silent() -> None:
    strangers = Strangers()
    every = [Silent() for _ in range(MOST_OF_ADDRESS)]
    assert all(strangers.admit(each, "203.0.113.7") for each in every)
    strangers.heard(every[0])
    assert strangers.admit(Silent(), "203.0.113.7")
    assert [each.is_open for each in every[:3]] == [True, False, True]
    other = Silent()
    assert strangers.admit(other, "203.0.113.8")
    assert sum(each.is_open for each in every) == MOST_OF_ADDRESS - 1
    strangers.remove(every[2])  # it has signed in
    assert strangers.admit(Silent(), "203.0.113.7")
    assert every[2].is_open
    assert sum(each.is_open for each in every) == MOST_OF_ADDRESS - 1


def test_connections_that_are_being_answered_stay() -> None:
    strangers = Strangers()
    every = [Silent(answering=True) for _ in range(MOST_OF_ADDRESS)]
    assert all(strangers.admit(each, "203.0.113.7") for each in every)
    assert not strangers.admit(Silent(), "203.0.113.7")
    every[7].answering = False
    assert strangers.admit(Silent(), "203.0.113.7")
    assert not every[7].is_open


def test_where_the_process_is_full_the_longest_silent_of_all_makes_place() -> None:
    strangers = Strangers()
    first, second = Silent(), Silent()
    strangers.admit(first, "203.0.113.7")
    strangers.admit(second, "203.0.113.8")
    strangers.heard(first)
    assert strangers.drop_one()
    assert (first.is_open, second.is_open) == (True, False)
    assert strangers.drop_one()
    assert not strangers.drop_one()
    assert len(strangers) == 0


@pytest.mark.parametrize(
    ("proxies", "host", "counts"),
    [
        ("", "127.0.0.1", True),
        ("127.0.0.1,::1", "127.0.0.1", False),
        ("127.0.0.1,::1", "::ffff:127.0.0.1", False),
        ("127.0.0.1, ::1", "::1", False),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("*", "203.0.113.7", False),
        ("proxy.internal", "203.0.113.7", True),
        ("127.0.0.1", "", True),
    ],
)
def test_connections_of_named_proxies_are_not_counted(
    proxies: str, host: str, counts: bool
) -> None:
    strangers = Strangers(proxies)
    assert strangers.admit(Silent(), host)
    assert len(strangers) == counts


def test_a_network_of_ipv6_is_one_address() -> None:
    assert counted_address("2001:db8::1") == counted_address("2001:db8::ffff:1")
    assert counted_address("2001:db8::1") != counted_address("2001:db8:0:1::1")
    assert counted_address("::ffff:203.0.113.7") == "203.0.113.7"


# Over real connections ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exposed(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """An API without a proxy before it, so that connections of this machine are counted."""
    with running_api(
        database, api_proxy_networks="", api_address_requests_per_minute=1_000_000
    ) as api:
        yield api


@asynccontextmanager
async def _connections(
    api: RunningApi, count: int, said: bytes
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Provide open connections over which something was said."""
    port = int(api.url.rpartition(":")[2])
    async with AsyncExitStack() as open_:
        readers: list[asyncio.StreamReader] = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            open_.callback(writer.close)
            writer.write(said)
            await writer.drain()
            readers.append(reader)
        yield readers


@pytest.mark.parametrize("said", [b"", HALF, WHOLE, NO_BODY])
async def test_whoever_opens_many_keeps_nobody_out(exposed: RunningApi, said: bytes) -> None:
    org = exposed.organization("Acme")
    async with _connections(exposed, 3 * MOST_OF_ADDRESS, said) as readers:
        connections = exposed._server.server_state.connections  # pyright: ignore
        await until(lambda: len(connections) <= MOST_OF_ADDRESS)  # though nobody reads
        for _ in range(3):
            assert (await org.viewer.get("/v1/assets")).status == 200
        first, last = readers[0], readers[-1]
        with suppress(ConnectionError):
            await asyncio.wait_for(first.read(), 20)  # it was closed
        assert not last.at_eof()


async def test_a_connection_that_has_signed_in_is_no_stranger(exposed: RunningApi) -> None:
    org = exposed.organization("Acme")
    signed = HALF + f"Authorization: Bearer {org.viewer.token}\r\n\r\n".encode()
    async with _connections(exposed, 3, signed) as known:
        for reader in known:
            assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200")
        async with _connections(exposed, 2 * MOST_OF_ADDRESS, HALF):
            assert (await org.viewer.get("/v1/assets")).status == 200
        assert not any(reader.at_eof() for reader in known)


async def test_where_the_process_is_full_a_newcomer_still_gets_in(
    exposed: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = exposed.organization("Acme")
    async with _connections(exposed, 10, HALF):
        monkeypatch.setattr(server, "MOST_CONNECTIONS", 10)
        for _ in range(5):
            assert (await org.viewer.get("/v1/assets")).status == 200


async def test_sockets_that_do_not_authenticate_make_place_too(exposed: RunningApi) -> None:
    org = exposed.organization("Acme")
    async with AsyncExitStack() as open_:
        sockets = [
            await open_.enter_async_context(stranger(exposed.url)) for _ in range(MOST_OF_ADDRESS)
        ]
        answer = await sockets[-1].ask("authenticate", token=org.viewer.token)
        assert answer["op"] == "authenticated"
        for _ in range(3):
            assert (await org.viewer.get("/v1/assets")).status == 200
        assert (await sockets[-1].ask("ping", id=1))["op"] == "pong"


async def test_an_address_whose_connections_are_all_being_answered_is_told(
    exposed: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.BoundedHttp, "make_place", lambda _: False)
    port = int(exposed.url.rpartition(":")[2])
    async with _connections(exposed, MOST_OF_ADDRESS, HALF):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(WHOLE)
        head = (await asyncio.wait_for(reader.read(), 20)).decode()
        writer.close()
    assert head.startswith("HTTP/1.1 503")
    assert "Your address has too many connections" in head
