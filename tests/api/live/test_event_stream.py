"""`GET /v1/events/stream`, as a browser reads it."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.http.websocket import HIGH_BYTES
from api.live import closing, event_stream
from tests.api.live.reading import BREACH, emit, streaming
from tests.api.running import Organization, RunningApi
from tests.waiting import until

ORDERED = "work_order.created"


async def test_events_come_as_they_happen(api: RunningApi, north: Organization) -> None:
    async with streaming(api, north.viewer) as stream:
        await asyncio.sleep(0)
        (seq,) = emit(api, north, text="two\nlines")
        kind, id_, event = await stream.next()
        shown = await north.viewer.get(f"/v1/events/{event['id']}")
        assert (kind, id_, event) == ("message", str(seq), shown.json)


async def test_the_header_goes_before_the_parameter(api: RunningApi, north: Organization) -> None:
    seqs = emit(api, north, 300)
    async with streaming(api, north.viewer, seqs[9], after=seqs[0]) as stream:
        seqs += emit(api, north, 3)
        assert await stream.seqs(len(seqs) - 10) == seqs[10:]


async def test_types_are_chosen(api: RunningApi, north: Organization) -> None:
    wanted, _ = emit(api, north, 2, ORDERED), emit(api, north, 2, BREACH)
    after = wanted[0] - 1
    async with streaming(
        api, north.viewer, after=after, types="work_order.*,quote.created"
    ) as stream:
        assert await stream.seqs(2) == wanted


async def test_a_silent_stream_shows_that_it_is_alive_and_its_place(
    api: RunningApi, north: Organization
) -> None:
    (before,) = emit(api, north)
    async with streaming(api, north.viewer, types=ORDERED) as stream:
        reading = asyncio.create_task(stream.next())
        await until(lambda: stream.ids == [before])
        (seq,) = emit(api, north)  # of another type
        await until(lambda: stream.ids[-2:] == [seq, seq])
        api.sql("DELETE FROM events WHERE org_id = %s AND seq < %s", north.org_id, seq)
        reading.cancel()
    async with streaming(api, north.viewer, seq, types=ORDERED) as again:
        (wanted,) = emit(api, north, 1, ORDERED)
        assert await again.seqs(1) == [wanted]


async def test_a_stream_of_a_rare_type_is_alive_while_others_happen(
    api: RunningApi, north: Organization
) -> None:
    async with streaming(api, north.viewer, types=ORDERED) as stream:
        reading = asyncio.create_task(stream.next())
        emitted = 0
        async with asyncio.timeout(60):
            while len(stream.ids) < 3:
                emit(api, north)
                emitted += 1
                await asyncio.sleep(0.02)
        assert emitted > 3
        reading.cancel()


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"types": "asset.moved"}, "invalid_parameter"),
        ({"after": "-1"}, "invalid_parameter"),
        ({"after": "4000000000"}, "invalid_parameter"),
        ({"token": "secret"}, "unknown_parameter"),
    ],
)
async def test_a_bad_parameter_is_a_problem(
    api: RunningApi, north: Organization, parameters: dict[str, str], code: str
) -> None:
    answer = await north.viewer.get("/v1/events/stream", **parameters)
    assert (answer.status, answer.json["code"]) == (400, code)


@pytest.mark.parametrize("given", ["evt_1", "-1", "\u0661", "9" * 19, "0" * 5_000])
async def test_a_bad_header_is_a_problem(api: RunningApi, north: Organization, given: str) -> None:
    answer = await north.viewer.get("/v1/events/stream", headers={"Last-Event-ID": given})
    assert (answer.status, answer.json["code"]) == (400, "invalid_parameter")


async def test_a_head_has_no_end_to_wait_for(api: RunningApi, north: Organization) -> None:
    answer = await north.viewer.send("HEAD", "/v1/events/stream")
    assert (answer.status, answer.content) == (200, b"")


async def test_a_stream_ends_with_its_sign_in(api: RunningApi, south: Organization) -> None:
    (seq,) = emit(api, south)
    async with streaming(api, south.technician, after=seq) as stream:
        api.sql("UPDATE sign_ins SET ended_at = now() WHERE org_id = %s", south.org_id)
        kind, _, data = await stream.next()
        assert (kind, data) == ("end", {"code": "unauthorized", "seq": seq})
        assert await stream.response.content.read() == b""


async def test_a_stream_that_its_client_leaves_is_forgotten(
    api: RunningApi, north: Organization
) -> None:
    await until(lambda: not api.live.streams.open)  # those of the tests before
    async with streaming(api, north.viewer):
        assert api.live.streams.open == 1
    await until(lambda: not api.live.streams.open)


@asynccontextmanager
async def slow_reader(
    api: RunningApi, org: Organization
) -> AsyncIterator[tuple[event_stream.EventStream, sockets.socket]]:
    """Provide a stream with more events than the kernel takes, and the socket of a client that
    reads the head of the answer alone.
    """
    emit(api, org, 500, text="x" * 20_000)
    before = set(api.live.streams.all())
    own = sockets.socket()
    own.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 * 1024)
    own.setblocking(False)
    loop = asyncio.get_running_loop()
    with own:
        await loop.sock_connect(own, ("127.0.0.1", int(api.url.rpartition(":")[2])))
        request = (
            "GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {org.dispatcher.token}\r\n\r\n"
        )
        await loop.sock_sendall(own, request.encode())
        assert (await loop.sock_recv(own, 12)).endswith(b"200")
        (stream,) = set(api.live.streams.all()) - before
        assert isinstance(stream, event_stream.EventStream)
        yield stream, own


async def test_a_client_that_only_trickles_is_cut_off_once_its_stream_ends(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LINGER_S", 0.2)
    org, loop = api.organization("Slow"), asyncio.get_running_loop()
    async with slow_reader(api, org) as (stream, own):
        await until(lambda: stream.unsent_bytes > 0)  # the server waits for the client
        assert stream._events is not None
        assert 0 < stream._events.seq < 500
        api.sql("UPDATE sign_ins SET ended_at = now() WHERE org_id = %s", org.org_id)

        async def trickle() -> None:
            for _ in range(2_000):
                await loop.sock_recv(own, 100)
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        await until(lambda: stream not in api.live.streams.all())
        assert not trickling.done()
        trickling.cancel()


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_takes_too_little_is_told_where_to_go_on(api: RunningApi) -> None:
    org, loop = api.organization("Stuck"), asyncio.get_running_loop()
    async with slow_reader(api, org) as (stream, own):
        await until(lambda: stream.unsent_bytes > HIGH_BYTES)
        await until(lambda: stream._why == closing.TOO_SLOW)
        assert stream._events is not None
        seq, read = stream._events.seq, b""
        while not read.endswith(b"0\r\n\r\n"):  # the end of the chunks
            read += await loop.sock_recv(own, 64 * 1024)
    last = b'id: %d\nevent: end\ndata: {"code":"too_slow","seq":%d}\n\n' % (seq, seq)
    assert last in read
    assert b"id: %d\n" % (seq + 1) not in read
