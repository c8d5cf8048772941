"""Connections to receivers, by what the receivers write and when they close."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvloop

from stack.servers.tls import Certificate, development_certificate
from tests.waiting import until
from tests.webhooks.world import posted
from webhooks.delivery import connections
from webhooks.delivery.answer_log import _is_secret, logged_answer
from webhooks.delivery.connections import HEADER_BYTES_KEPT, HEADERS_MAX, NAME_BYTES_KEPT
from webhooks.delivery.post import NO_ANSWER, Poster, header_lines
from webhooks.retry import Answer

BODY = b'{"id":"evt_1"}'
ACCEPTS = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
FAILS = b"HTTP/1.1 500 No\r\n"


@dataclass
class Scripted:
    """A receiver that writes the next text to each request. b"": it closes instead."""

    answers: list[bytes]
    port: int = 0
    opened: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.writers.append(writer)
        try:
            while self.answers:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(BODY))
                answer = self.answers.pop(0)
                if not answer:
                    break
                writer.write(answer)
            else:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Scripted]:
    receiver = Scripted(list(answers))
    server = await asyncio.start_server(receiver.serve, "0.0.0.0", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    async with Poster(allow_loopback=True, connections=2, timeout_s=20) as poster:
        yield poster


@pytest.fixture
async def hasty() -> AsyncIterator[Poster]:
    async with Poster(allow_loopback=True, connections=2, timeout_s=1) as poster:
        yield poster


@pytest.mark.parametrize(
    ("answer", "status", "body", "is_kept"),
    [
        (ACCEPTS, 204, b"", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", True),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", 200, b"ok", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + ACCEPTS, 204, b"", True),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3 + ACCEPTS, 204, b"", True),
        (b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", 204, b"", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
        (ACCEPTS + ACCEPTS, 204, b"", False),
        (ACCEPTS + b"220 ESMTP\r\n", 204, b"", False),
        (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nx", 101, b"", False),
        (FAILS + b"content-length: 99999\r\n\r\n" + b"x" * 20_000, 500, b"x" * 4_096, False),
        (CHUNKED + b"zz", 200, b"", False),
        (CHUNKED + b"1;" + b"x" * 200_000, 200, b"", False),
        (CHUNKED + b"0\r\n" + b"x-more: y\r\n" * 20_000, 200, b"", False),
        (ACCEPTS + b"H", 204, b"", False),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 99\r\n\r\n", 204, b"", False),
        (b"HTTP/1.1 304 No\r\ntransfer-encoding: chunked\r\n\r\n", 304, b"", False),
        (b"HTTP/1.1 204 No\r\n" + b"x: y\r\n" * 20 + b"content-length: 9\r\n\r\n", 204, b"", False),
    ],
)  # fmt: skip
async def test_an_answer_is_read_and_its_connection_kept_if_it_is_clean(
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    status: int,
    body: bytes,
    is_kept: bool,
) -> None:
    monkeypatch.setattr(connections, "READ_S", 60)
    async with scripted(answer, ACCEPTS) as receiver, asyncio.timeout(60):
        first = await posted(poster, receiver.url, BODY)
        second = await posted(poster, receiver.url, BODY)
        assert (first.status, first.body) == (status, body)
        assert second.status == 204
        assert receiver.opened == (1 if is_kept else 2)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n", "no answer within 1 s"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, "has more than 65536 bytes"),
        (b"HTTP/1.1 204 No Content\r\nx: " + b"x" * 70_000, "has more than 65536 bytes"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", "no HTTP answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok", "no HTTP answer"),
        (b"", "the connection was closed without an answer"),
    ],
)
async def test_what_is_no_answer_is_none(hasty: Poster, answer: bytes, detail: str) -> None:
    async with scripted(answer) as receiver:
        outcome = await posted(hasty, receiver.url, BODY)
    assert (outcome.status, outcome.error) == (None, NO_ANSWER)
    assert detail in (outcome.detail or "")


async def test_little_is_kept_of_headers_that_are_long(poster: Poster) -> None:
    """Answers are remembered, and so are names of headers: a receiver does not fill the memory."""
    long = [f"x-{number}{'n' * 1_000}: {'v' * 2_000}" for number in range(20)]
    head = "\r\n".join(["HTTP/1.1 200 OK", *long, "content-length: 0", "", ""])
    names = _is_secret.cache_info().currsize
    async with scripted(head.encode()) as receiver:
        answer = await posted(poster, receiver.url, BODY)
    assert answer.accepted
    assert len(answer.headers) == HEADERS_MAX
    assert {len(name) for name, _ in answer.headers} == {NAME_BYTES_KEPT}
    assert sum(len(value) for _, value in answer.headers) <= 2 * HEADER_BYTES_KEPT
    logged_answer(answer.headers, answer.body, ())
    assert _is_secret.cache_info().currsize == names


async def test_a_body_ends_with_its_connection(poster: Poster) -> None:
    async with scripted(b"HTTP/1.1 200 OK\r\n\r\nok") as receiver:
        asked = asyncio.ensure_future(posted(poster, receiver.url, BODY))
        await until(lambda: receiver.writers and not receiver.answers)
        receiver.writers[0].close()
        answer = await asked
    assert (answer.status, answer.body) == (200, b"ok")


async def test_a_status_counts_when_the_time_ends_within_the_body(
    hasty: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_S", 30)
    async with scripted(b"HTTP/1.1 202 Accepted\r\ncontent-length: 9\r\n\r\nok") as receiver:
        answer = await posted(hasty, receiver.url, BODY)
    assert (answer.status, answer.body) == (202, b"ok")


async def test_a_connection_that_was_closed_while_idle_is_not_used(poster: Poster) -> None:
    async with scripted(ACCEPTS, ACCEPTS) as receiver:
        assert (await posted(poster, receiver.url, BODY)).accepted
        receiver.writers[0].close()
        await asyncio.sleep(0.05)
        assert (await posted(poster, receiver.url, BODY)).accepted
        assert receiver.opened == 2


async def test_a_request_that_meets_the_end_of_a_kept_connection_is_sent_once_more(
    poster: Poster,
) -> None:
    async with scripted(ACCEPTS, b"", ACCEPTS) as receiver:
        assert (await posted(poster, receiver.url, BODY)).accepted
        assert (await posted(poster, receiver.url, BODY)).accepted
        assert receiver.opened == 2


@pytest.mark.parametrize("last", [b"", b"HTTP/1.1 1"])
async def test_a_request_is_sent_twice_at_most_and_not_where_anything_was_answered(
    poster: Poster, last: bytes
) -> None:
    async with scripted(ACCEPTS, last, b"") as receiver:
        assert (await posted(poster, receiver.url, BODY)).accepted
        asked = asyncio.ensure_future(posted(poster, receiver.url, BODY))
        await until(lambda: len(receiver.answers) == (0 if not last else 1))
        for writer in receiver.writers:
            writer.close()
        answer = await asked
    assert (answer.status, answer.error) == (None, NO_ANSWER)
    assert receiver.opened == (1 if last else 2)


async def test_a_connection_whose_request_is_not_all_sent_is_not_used_again(
    poster: Poster,
) -> None:
    """The receiver answers at once and reads nothing: requests would pile up here."""
    opened: list[asyncio.StreamWriter] = []
    read = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ACCEPTS)
        await read.wait()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, limit=1_024) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for _ in range(2):
            assert (await posted(poster, url, b"x" * 20_000_000)).accepted
        read.set()
    assert len(opened) == 2


def test_an_answer_that_came_while_the_process_stood_still_counts() -> None:
    """With uvloop, as in production: its timers come before what it reads next."""
    asked, has_stood_still = threading.Event(), threading.Event()

    def answer_each(server: socket.socket) -> None:
        connections = [server.accept()[0] for _ in range(2)]
        for connection in connections:
            connection.recv(65_536)
        connections[0].sendall(ACCEPTS)
        asked.wait()
        connections[1].sendall(ACCEPTS)
        has_stood_still.wait()

    def stand_still(_: Answer) -> None:
        asked.set()
        time.sleep(1.2)

    async def answered(server: socket.socket) -> Answer:
        async with Poster(allow_loopback=True, connections=2, timeout_s=1) as poster:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/"
            second = asyncio.get_running_loop().create_future()
            poster.post(url, b"", BODY, stand_still)
            poster.post(url, b"", BODY, second.set_result)
            return await second

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer_each, args=(server,))
        thread.start()
        try:
            assert uvloop.run(answered(server)).accepted
        finally:
            has_stood_still.set()
            thread.join()


async def test_what_comes_unasked_ends_a_connection(poster: Poster) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    async with scripted(ACCEPTS, ACCEPTS) as receiver:
        assert (await posted(poster, receiver.url, BODY)).accepted
        receiver.writers[0].write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await asyncio.sleep(0.05)
        assert (await posted(poster, receiver.url, BODY)).status == 204
        assert receiver.opened == 2
    assert errors == []


def _closed(receiver: Scripted) -> int:
    return sum(writer.transport.is_closing() for writer in receiver.writers)


async def test_idle_connections_are_few(poster: Poster) -> None:
    async with scripted(ACCEPTS, ACCEPTS, ACCEPTS) as receiver:
        answers = [posted(poster, receiver.url, BODY) for _ in range(3)]
        assert all(answer.accepted for answer in await asyncio.gather(*answers))
        await until(lambda: _closed(receiver))
        assert _closed(receiver) == 1


async def test_an_idle_connection_does_not_last(
    poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_S", 0.1)
    async with scripted(ACCEPTS) as receiver:
        assert (await posted(poster, receiver.url, BODY)).accepted
        await until(lambda: _closed(receiver))


async def test_each_exchange_ends_within_its_own_time() -> None:
    """Also one that begins while another ends, and one that begins when all have ended. Timers that
    begin with an exchange say whether it is late: on a busy machine they are as late.
    """
    loop = asyncio.get_running_loop()
    took_s: list[float] = []
    under_way, late = set[float](), list[float]()
    async with (
        scripted(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 4) as receiver,
        Poster(allow_loopback=True, connections=2, timeout_s=0.6) as poster,
    ):

        def begin(ended: asyncio.Event, *, again: int = 0) -> None:
            began_s = loop.time()
            under_way.add(began_s)

            def look() -> None:
                late.extend(under_way & {began_s})

            # After a standstill an exchange ends a moment later, so they look a moment later.
            loop.call_later(0.85, loop.call_later, 0.2, look)

            def end(answer: Answer) -> None:
                under_way.remove(began_s)
                took_s.append(loop.time() - began_s)
                assert answer.detail == "no answer within 0.6 s"
                if again:
                    begin(ended, again=again - 1)
                else:
                    ended.set()

            poster.post(receiver.url, b"", BODY, end)

        first, second, third = asyncio.Event(), asyncio.Event(), asyncio.Event()
        begin(first, again=1)
        await asyncio.sleep(0.3)
        begin(second)
        await asyncio.gather(first.wait(), second.wait())
        begin(third)
        await third.wait()
    assert len(took_s) == 4
    assert min(took_s) > 0.55
    assert late == []


async def test_a_poster_that_ends_lets_nothing_wait() -> None:
    async with scripted(b"HTTP/1.1 100 Continue\r\n\r\n") as receiver:
        async with Poster(allow_loopback=True, connections=2, timeout_s=60) as poster:
            asked = asyncio.ensure_future(posted(poster, receiver.url, BODY))
            opening = asyncio.ensure_future(posted(poster, receiver.url, BODY))
            await until(lambda: receiver.writers)
        assert {(await each).error for each in (asked, opening)} == {NO_ANSWER}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return development_certificate(tmp_path_factory.mktemp("tls"))


def _tls(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


async def test_https_is_for_a_certificate_of_that_host_by_a_known_authority(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    async with (
        scripted(ACCEPTS, ACCEPTS, tls=_tls(certificate)) as receiver,
        Poster(allow_loopback=True, connections=2, timeout_s=5) as poster,
    ):
        for host in ("127.0.0.1", "localhost"):
            answer = await posted(poster, f"https://{host}:{receiver.port}/", BODY)
            assert answer.accepted, answer
        other = await posted(poster, f"https://127.0.0.2:{receiver.port}/", BODY)
        assert other.error == NO_ANSWER


async def test_https_with_another_authority_is_no_answer(certificate: Certificate) -> None:
    async with (
        scripted(ACCEPTS, tls=_tls(certificate)) as receiver,
        Poster(allow_loopback=True, connections=2, timeout_s=5) as poster,
    ):
        answer = await posted(poster, f"https://127.0.0.1:{receiver.port}/", BODY)
    assert (answer.status, answer.error) == (None, NO_ANSWER)
    assert "CERTIFICATE_VERIFY_FAILED" in (answer.detail or "")
    assert len(receiver.answers) == 1


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b"])
def test_a_header_keeps_to_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="more than one line"):
        header_lines({"x-own": value})


async def test_a_request_is_what_its_url_says(poster: Poster) -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(ACCEPTS)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://localhost:{port}/a b/ä?q=1&r=x y%0d%0a"
        assert (await posted(poster, url, BODY, headers=b"x-own: 1\r\n")).accepted
    assert received[0].decode().split("\r\n") == [
        "POST /a%20b/%C3%A4?q=1&r=x+y%0D%0A HTTP/1.1",
        f"host: localhost:{port}",
        "user-agent: ops-companion-webhooks",
        "accept: */*",
        "accept-encoding: identity",
        "content-type: application/json",
        f"content-length: {len(BODY)}",
        "x-own: 1",
        "",
        "",
    ]
