"""The machine of requests: the same whatever the network cut, and an end to everything."""

from contextlib import suppress
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.http.requests import (
    HEAD_BYTES,
    LONGEST_BODY_BYTES,
    RefusedRequest,
    Request,
    RequestReader,
)
from telemetry.formats.decoded import MAX_MESSAGE_BYTES

GET = b"GET /v1/ingest/osmand/k?lat=1&lon=2 HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKS = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n3\r\ncde\r\n0\r\nAuthorization: Basic eDp5\r\n\r\n"
)
H2C = (
    b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
)
READ = {
    GET: Request(
        *("GET", "/v1/ingest/osmand/k", b"lat=1&lon=2"),
        {b"x-forwarded-for": "1.2.3.4"},
        *(b"", 0, True),
    ),
    POST: Request("POST", "/a", b"", {b"authorization": "Basic eDp5"}, b"abcde", 0, True),
    CHUNKS: Request("POST", "/a", b"", {}, b"abcde", 0, True),
    H2C: Request("GET", "/a", b"", {}, b"", 0, False),
}
POST_HEAD = b"POST / HTTP/1.1\r\n"
CHUNK = b"\r\n\r\n1\r\na\r\n0\r\n\r\n"
NO_VERSION = (
    b"GET /v1/ingest/osmand/k?lat=1&lon=2\r\n\r\n",
    b"GET /v1/ingest/osmand/k?lat=1&lon=2\r\nHost: x\r\n\r\n",
    b"POST /a HTTP/2.0\r\nContent-Length: 1\r\n\r\na",
)
OTHER_CODINGS = (
    POST_HEAD + b"Transfer-Encoding: gzip, chunked" + CHUNK,
    POST_HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked" + CHUNK,
    POST_HEAD + b"Transfer-Encoding: gzip" + CHUNK,
)
BAD = (
    b"\x16\x03\x01\x02\x00",  # TLS
    POST_HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    POST_HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
    POST_HEAD + b"Content-Length: -1\r\n\r\n",
    b"POST http://[::bad/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
    b"GET http://x:99999999/ HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    *NO_VERSION,
    *OTHER_CODINGS,
)
LONG = (
    b"GET /a HTTP/1.1\r\nA: " + HEAD_BYTES * b"x",
    b"GET /a HTTP/1.1\r\nA: " + HEAD_BYTES * b"x" + b"\r\n\r\n",
    b"GET /" + HEAD_BYTES * b"a",
)
REFUSED = {
    **dict.fromkeys(BAD, HTTPStatus.BAD_REQUEST),
    **dict.fromkeys(LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
}


def read(parts: list[bytes]) -> Request | None:
    reader = RequestReader()
    answers = [reader.feed(part) for part in parts if part]
    assert not any(answers[:-1])
    return answers[-1]


@pytest.mark.parametrize("request_bytes", READ)
def test_a_request_is_the_same_wherever_it_is_cut(request_bytes: bytes) -> None:
    expected = READ[request_bytes]
    for at in range(len(request_bytes)):
        assert read([request_bytes[:at], request_bytes[at:]]) == expected
    assert read([bytes([one]) for one in request_bytes]) == expected


def test_several_come_one_after_the_other() -> None:
    reader = RequestReader()
    for _ in range(3):
        for request_bytes in (GET, POST, CHUNKS):
            assert reader.feed(request_bytes) == READ[request_bytes]
            reader.next()


def test_a_second_one_before_the_answer_is_not_read_and_ends_the_connection() -> None:
    assert read([GET + POST]) == READ[GET]._replace(keeps_alive=False)


@pytest.mark.parametrize("request_bytes", REFUSED)
def test_bad_bytes_are_refused(request_bytes: bytes) -> None:
    with pytest.raises(RefusedRequest) as refused:
        RequestReader().feed(request_bytes)
    assert refused.value.status == REFUSED[request_bytes]


@pytest.mark.parametrize("request_bytes", [*NO_VERSION, *OTHER_CODINGS])
def test_who_writes_the_device_hears_what_it_must_send(request_bytes: bytes) -> None:
    with pytest.raises(RefusedRequest) as refused:
        RequestReader().feed(request_bytes)
    wanted = "HTTP/1.1" if request_bytes in NO_VERSION else "chunked"
    assert wanted in str(refused.value)


def test_a_coding_is_chunked_however_it_is_written() -> None:
    for coding in (b"Chunked", b"  chunked "):
        assert read([CHUNKS.replace(b" chunked", coding)]) == READ[CHUNKS]


def test_a_long_body_is_counted_and_not_kept() -> None:
    reader, length = RequestReader(), MAX_MESSAGE_BYTES + 1
    head = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length
    assert reader.feed(head) is None
    assert reader.feed(b"x" * (length - 1)) is None
    assert reader.held_bytes > MAX_MESSAGE_BYTES
    request = reader.feed(b"x")
    assert request is not None
    assert (request.body, request.oversize_bytes) == (b"", length)
    assert reader.held_bytes < HEAD_BYTES


def test_an_endless_body_ends() -> None:
    reader, piece = RequestReader(), b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    reader.feed(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(LONGEST_BODY_BYTES // 65_536):
        reader.feed(piece)
        assert reader.held_bytes <= MAX_MESSAGE_BYTES + HEAD_BYTES
    with pytest.raises(RefusedRequest) as refused:
        reader.feed(piece)
    assert refused.value.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_a_trailer_without_an_end_ends() -> None:
    reader, piece = RequestReader(), b"x" * 1_024
    reader.feed(CHUNKS[:-4])
    with pytest.raises(RefusedRequest):
        _ = [reader.feed(piece) for _ in range(9)]


def test_who_asks_before_the_body_is_told_to_go_on() -> None:
    reader = RequestReader()
    reader.feed(POST[:-5].replace(b"Host: x", b"Expect: 100-continue"))
    assert reader.expects_continue
    assert reader.feed(b"abcde") is not None
    assert not reader.expects_continue


@given(st.lists(st.one_of(st.binary(max_size=64), st.sampled_from(list(READ))), max_size=6))
def test_any_bytes_end_as_requests_or_as_a_refusal(parts: list[bytes]) -> None:
    reader = RequestReader()
    with suppress(RefusedRequest):
        for part in parts:
            if reader.feed(part) is not None:
                reader.next()
            assert reader.held_bytes <= HEAD_BYTES + MAX_MESSAGE_BYTES
