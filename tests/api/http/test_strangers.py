"""Which connection makes place: the longest silent of an address, or of who has most of them."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID

import pytest

from api.http import server
from api.http.strangers import (
    MOST_OF_ADDRESS,
    ConnectionPlaces,
    Members,
    Strangers,
    counted_address,
)
from tests.api.live.feeds.locking import locked
from tests.api.live.reading import emit, signed_in, stranger, streaming
from tests.api.photos.uploading import upload
from tests.api.running import Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest
from tests.waiting import until

HALF = b"GET /v1/assets HTTP/1.1\r\nHost: x\r\n"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
UNKNOWN = HALF + b"Authorization: Bearer opsk_" + b"x" * 43 + b"\r\n\r\n"
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


NORTH, SOUTH = UUID(int=1), UUID(int=2)


def _members(count: int, org_id: UUID, of: Members) -> list[Silent]:
    made = [Silent() for _ in range(count)]
    for each in made:
        of.add(each, org_id)
    return made


def test_the_longest_silent_of_the_organization_with_the_most_members_makes_place() -> None:
    members = Members()
    south = _members(2, SOUTH, members)
    north = _members(3, NORTH, members)
    members.heard(north[0])
    assert members.drop_one()
    assert [each.is_open for each in north] == [True, False, True]
    members.remove(north[2])
    assert members.most_of_one == 2
    assert members.drop_one()
    assert [each.is_open for each in south] == [False, True]


def test_a_connection_is_a_member_of_the_organization_of_its_last_good_request() -> None:
    members = Members()
    shared, south = Silent(), Silent()
    members.add(shared, NORTH)
    members.add(south, SOUTH)
    members.add(shared, SOUTH)
    assert members.most_of_one == 2
    assert members.drop_one()
    assert (shared.is_open, south.is_open) == (True, False)
    members.add(shared, NORTH)
    members.remove(shared)
    assert not members.drop_one()


def test_an_organization_whose_requests_are_all_being_answered_costs_no_other_a_place() -> None:
    members = Members()
    north, south = _members(3, NORTH, members), _members(2, SOUTH, members)
    for each in north:
        each.answering = True
    assert not members.drop_one()
    assert all(each.is_open for each in south)


@pytest.mark.parametrize(("strangers", "dropped"), [(2, "member"), (3, "stranger")])
def test_the_larger_crowd_makes_place(strangers: int, dropped: str) -> None:
    places = ConnectionPlaces()
    unknown = [Silent() for _ in range(strangers)]
    known = [Silent() for _ in range(3)]
    for number, each in enumerate([*unknown, *known]):
        assert places.strangers.admit(each, f"203.0.113.{number}")
    for each in known:
        places.become_known(each, NORTH)
    assert places.drop_one()
    open_ = {
        "stranger": sum(each.is_open for each in unknown),
        "member": sum(k.is_open for k in known),
    }
    assert open_ == {"stranger": strangers, "member": 3} | {dropped: 2}


def test_where_one_crowd_cannot_make_place_the_other_does() -> None:
    places = ConnectionPlaces()
    busy, silent = Silent(answering=True), Silent()
    for each in (busy, silent):
        places.strangers.admit(each, "203.0.113.7")
    places.become_known(busy, NORTH)
    places.become_known(silent, NORTH)
    stranger_ = Silent()
    places.strangers.admit(stranger_, "203.0.113.7")
    silent.answering = True
    assert places.drop_one()
    assert not stranger_.is_open
    assert not places.drop_one()


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
    api: RunningApi, count: int, said: bytes, takes_bytes: int | None = None
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Provide open connections over which something was said. takes_bytes: what the kernel takes
    for readers that never read.
    """
    port = int(api.url.rpartition(":")[2])
    async with AsyncExitStack() as open_:
        readers: list[asyncio.StreamReader] = []
        for _ in range(count):
            own = socket.socket()
            if takes_bytes is not None:
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes_bytes)
            own.setblocking(False)
            await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=own, limit=takes_bytes or 2**16)
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


@pytest.fixture(scope="module")
def behind_proxy(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """An API behind a named proxy, from which all connections come."""
    with running_api(database, api_proxy_networks="127.0.0.1") as api:
        yield api


@pytest.fixture(params=["exposed", "behind_proxy"])
def either(request: pytest.FixtureRequest) -> RunningApi:
    return request.getfixturevalue(request.param)


def _slow_body(org: Organization) -> bytes:
    """Return a request with a good token whose body has only begun."""
    return (
        b"POST /v1/clients HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: 100\r\n\r\n{"
    ) % (org.admin.token or "").encode()


MANY = 20


async def test_an_organization_with_many_connections_keeps_no_other_out(
    either: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy, other = either.organization("Acme"), either.organization("Acme")
    async with (
        streaming(either, heavy.viewer) as stream,
        signed_in(either.url, heavy.viewer) as socket,
        _connections(either, MANY, _slow_body(heavy)),
    ):
        await until(lambda: _places(either).members.most_of_one == MANY)
        monkeypatch.setattr(server, "MOST_CONNECTIONS", MANY // 2)
        for _ in range(5):
            assert (await other.viewer.get("/v1/assets")).status == 200
        assert _places(either).members.most_of_one == MANY - 5
        (seq,) = emit(either, heavy)  # its readers of events are not among them
        assert await stream.seqs(1) == [seq]
        assert (await socket.ask("ping", id=1))["op"] == "pong"


async def test_a_client_that_does_not_take_its_answer_makes_place_too(
    exposed: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy, other = exposed.organization("Acme"), exposed.organization("Acme")
    asset = (await heavy.admin.post("/v1/assets", {"name": "Truck"})).json["id"]
    made = await upload(heavy.admin, b"%PDF-1.7\n" + bytes(8 * 2**20), "a.pdf", asset_id=asset)
    asked = (
        f"GET /v1/attachments/{made.json['id']}/content HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {heavy.admin.token}\r\n\r\n"
    ).encode()
    async with _connections(exposed, 6, asked, takes_bytes=4_096):
        await until(lambda: _untaken(exposed) == 6)
        monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
        for _ in range(3):
            assert (await other.viewer.get("/v1/assets")).status == 200
        assert _places(exposed).members.most_of_one == 3


def _untaken(api: RunningApi) -> int:
    """Return how many connections have an answer that its client does not take."""
    return sum(each.flow.write_paused for each in _open(api))


def _answered(api: RunningApi) -> int:
    """Return how many connections have a request that is being answered."""
    return sum(bool(each.cycle and not each.cycle.response_complete) for each in _open(api))


def _open(api: RunningApi) -> set[server.BoundedHttp]:
    return api._server.server_state.connections  # pyright: ignore


def _places(api: RunningApi) -> ConnectionPlaces:
    return api._server.lifespan.state["places"]


async def test_a_connection_that_made_place_while_it_signed_in_is_no_member(
    exposed: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = exposed.organization("Acme")
    monkeypatch.setattr(server, "MOST_CONNECTIONS", MANY // 2)
    async with _connections(exposed, 3 * MANY, _slow_body(org)):
        assert (await org.viewer.get("/v1/assets")).status == 200
    await until(lambda: not _places(exposed).members.most_of_one)


async def test_one_pass_of_the_loop_accepts_several_connections(exposed: RunningApi) -> None:
    """A newcomer behind 200 others waits for a few passes, however long each takes."""
    connections = exposed._server.server_state.connections
    stands_still, are_there = threading.Event(), threading.Event()

    async def passes() -> int:
        stands_still.set()
        are_there.wait()
        before, passed = set(connections), 0
        while len(connections - before) < 2 * MANY:
            await asyncio.sleep(0)
            passed += 1
        return passed

    loop = exposed._server.servers[0].get_loop()
    passed = asyncio.run_coroutine_threadsafe(passes(), loop)
    await asyncio.to_thread(stands_still.wait)
    async with _connections(exposed, 2 * MANY, b""):
        are_there.set()
        assert await asyncio.wrap_future(passed) < MANY


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
    monkeypatch.setattr("api.http.strangers.MOST_OF_ADDRESS", 3)
    port = int(exposed.url.rpartition(":")[2])
    with locked(exposed, "api_keys"):
        async with _connections(exposed, 3, UNKNOWN):
            await until(lambda: _answered(exposed) == 3)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(WHOLE)
            head = (await asyncio.wait_for(reader.read(), 20)).decode()
            writer.close()
    assert head.startswith("HTTP/1.1 503")
    assert "Your address has too many connections" in head
