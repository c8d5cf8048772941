"""HTTP/1.1 as a machine without I/O: bytes in, one request at a time out, all of it bounded.

What is longer than a message may be is read and not kept, so that it can be answered like any other
message. A request that begins before the one before is answered is not looked at: the answer closes
the connection, and the client sends it again.
"""

from http import HTTPStatus
from typing import NamedTuple

import httptools

from telemetry.formats.decoded import MAX_MESSAGE_BYTES

HEAD_BYTES = 8 * 1024
LONGEST_BODY_BYTES = 16 * MAX_MESSAGE_BYTES
"""A longer one is not even read to its end."""
_HEADERS = (b"authorization", b"expect", b"x-forwarded-for")
_VERSIONS = ("1.0", "1.1")


class Request(NamedTuple):
    """A request. headers: those of `_HEADERS`. oversize_bytes: the length of a body that is not
    kept.
    """

    method: str
    path: str
    query: bytes
    headers: dict[bytes, str]
    body: bytes
    oversize_bytes: int
    keeps_alive: bool


class RefusedRequest(Exception):
    """Bytes that no repetition makes better; they are answered with a status, and the end."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class RequestReader:
    """The requests of one connection. `next` begins with the next one, after an answer."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self.next()

    def next(self) -> None:
        self._method = ""
        self._url = bytearray()
        self._path, self._query = "", b""
        self._head_bytes = self._silent_bytes = self._body_bytes = 0
        self._body = bytearray()
        self._headers: dict[bytes, str] = {}
        self._codings = b""
        self._refused: RefusedRequest | None = None
        self.is_complete = self._is_more = self._keeps_alive = False
        self.has_begun = False
        self.has_head = False

    @property
    def held_bytes(self) -> int:
        return self._head_bytes + self._silent_bytes + len(self._body)

    @property
    def expects_continue(self) -> bool:
        """Whether the client sends the body only when it is asked to go on."""
        waits = self.has_head and not self._body_bytes and not self.is_complete
        return waits and self._headers.get(b"expect", "").lower() == "100-continue"

    def head(self) -> Request:
        """Return the request without its body, once `has_head`."""
        return Request(
            self._method,
            self._path,
            self._query,
            self._headers,
            b"",
            0,
            self._keeps_alive and not self._is_more,
        )

    def feed(self, data: bytes) -> Request | None:
        """Return the request that `data` completes, if it does. Raises RefusedRequest."""
        has_upgrade = False
        self._silent_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            has_upgrade = True  # to a protocol that nobody speaks here: the request stands
        except httptools.HttpParserError as error:
            raise self._refused or _bad(str(error)) from None
        if not self.is_complete:
            if has_upgrade:
                raise _bad("an upgrade")
            if self._silent_bytes > HEAD_BYTES:  # a header without an end, which the parser holds
                raise _too_long()
            return None
        request = self.head()
        is_kept = self._body_bytes <= MAX_MESSAGE_BYTES
        return request._replace(
            body=bytes(self._body) if is_kept else b"",
            oversize_bytes=0 if is_kept else self._body_bytes,
            keeps_alive=request.keeps_alive and not has_upgrade,
        )

    # What httptools calls ---------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_more = self.is_complete
        self.has_begun = True

    def on_url(self, part: bytes) -> None:
        if not self._is_more:
            self._count_head(len(part))
            self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_more:
            return
        self._count_head(len(name) + len(value))
        name = name.lower()
        if name in _HEADERS and not self.has_head:  # else it stands behind a body in chunks
            self._headers[name] = value.decode("latin-1")
        elif name == b"transfer-encoding" and not self.has_head:
            self._codings += value.lower() + b","

    def on_headers_complete(self) -> None:
        if self._is_more:
            return
        if self._parser.get_http_version() not in _VERSIONS:
            self._refuse(_bad("the request line must end with HTTP/1.1 or HTTP/1.0"))
        if any(coding.strip() not in (b"", b"chunked") for coding in self._codings.split(b",")):
            self._refuse(_bad("the only transfer coding that is read here is chunked"))
        self._silent_bytes = 0
        self._method = self._parser.get_method().decode("ascii")
        url = httptools.parse_url(bytes(self._url))  # its error is the parser's
        self._path, self._query = (url.path or b"/").decode("latin-1"), url.query or b""
        self.has_head = True

    def on_chunk_header(self) -> None:
        self._silent_bytes = 0

    def on_body(self, part: bytes) -> None:
        if self._is_more:
            return
        self._body_bytes += len(part)
        self._silent_bytes = 0
        if self._body_bytes > LONGEST_BODY_BYTES:
            self._refuse(
                RefusedRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too long")
            )
        if self._body_bytes <= MAX_MESSAGE_BYTES:
            self._body += part
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        if not self._is_more:
            self.is_complete = True
            self._keeps_alive = self._parser.should_keep_alive()

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._refuse(_too_long())

    def _refuse(self, refused: RefusedRequest) -> None:
        self._refused = refused  # the parser hides it
        raise refused


def _bad(detail: str) -> RefusedRequest:
    return RefusedRequest(HTTPStatus.BAD_REQUEST, detail)


def _too_long() -> RefusedRequest:
    return RefusedRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
