"""One attempt: a POST that always ends, and what came of it.

An attempt ends within its time whatever the receiver does; it follows no redirect, keeps no cookie,
uses no proxy, and reads no more of an answer than lets the connection be used again
(`webhooks.delivery.connections`).

The owner of an endpoint may read the error of an attempt, and could name any host and port. So all
that can go wrong before there is an HTTP answer is one error, NO_ANSWER: whether a name is known or
private, a port closed, filtered or not speaking TLS, stands in our own log only (`Answer.detail`).
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import TracebackType
from typing import Self

from yarl import URL

from db.delivery.webhook_urls import WebhookUrlError, check_webhook_url
from webhooks.delivery.addresses import AddressRefused, CheckedResolver
from webhooks.delivery.connections import AnswerError, HttpAnswer, PostConnections, ReceiverOrigin
from webhooks.retry import Answer

NO_ANSWER = "no answer"

_ERROR_LENGTH_MAX = 300
_LINE_BREAKS = frozenset("\r\n\0")
_BREAKS = _LINE_BREAKS | {" "}
_HEAD = (
    "POST {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: ops-companion-webhooks\r\naccept: */*\r\n"
    "accept-encoding: identity\r\ncontent-type: application/json\r\n"
)

OnAnswer = Callable[[Answer], None]


class Poster:
    """A pool of connections to receivers; `async with Poster(...) as poster`. connections: that are
    kept open while nothing is sent.
    """

    def __init__(self, *, allow_loopback: bool, connections: int, timeout_s: float) -> None:
        self._allow_loopback = allow_loopback
        self._idle_max = connections
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        self._resolver = CheckedResolver(allow_loopback=self._allow_loopback)
        self._connections = PostConnections(
            self._resolver, idle_max=self._idle_max, timeout_s=self._timeout_s
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connections.close()
        self._resolver.close()

    def post(self, url: str, headers: bytes, body: bytes, on_answer: OnAnswer) -> None:
        """Send `body` as JSON. headers: further ones, of `header_lines`. on_answer is called once,
        and never before `post` has returned; what goes wrong on the way is an Answer, too.
        """
        try:
            origin, head = _target(url, self._allow_loopback)
        except ValueError as error:
            is_refused = isinstance(error, WebhookUrlError)
            refusal = f"refused: {error}" if is_refused else NO_ANSWER
            answer = Answer(None, refusal, None if is_refused else _error_line("ValueError", error))
            asyncio.get_running_loop().call_soon(on_answer, answer)
            return
        request = b"%bcontent-length: %d\r\n%b\r\n%b" % (head, len(body), headers, body)
        self._connections.post(origin, request, partial(self._end, on_answer))

    def _end(self, on_answer: OnAnswer, outcome: HttpAnswer | Exception) -> None:
        if isinstance(outcome, HttpAnswer):
            on_answer(_answer(outcome))
        else:
            on_answer(Answer(None, NO_ANSWER, self._detail(outcome)))

    def _detail(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(error, AddressRefused):
            return _error_line("refused", error)
        if isinstance(error, AnswerError):
            return _error_line("no HTTP answer", error)
        return _error_line("no connection", error)


@lru_cache(maxsize=256)  # a receiver answers the same again and again, but for the time
def _answer(answer: HttpAnswer) -> Answer:
    headers = tuple([(_text(name), _text(value)) for name, value in answer.headers])
    return Answer(answer.status, None, None, headers, answer.body)


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Return headers as they are sent. Raises ValueError where one would end its line."""
    if not _LINE_BREAKS.isdisjoint("".join([*headers, *headers.values()])):
        raise ValueError("a header has more than one line")
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode()


@lru_cache(maxsize=4096)
def _target(url: str, allow_loopback: bool) -> tuple[ReceiverOrigin, bytes]:
    """Return where a request goes, and the beginning of its head. Raises WebhookUrlError, or
    ValueError where it is no URL.

    The URL is checked as it is used here, which may differ from how it was written.
    """
    target = URL(url)
    check_webhook_url(str(target), allow_loopback=allow_loopback)
    host, port = target.raw_host, target.port
    if host is None or port is None or not _BREAKS.isdisjoint(target.raw_path_qs):
        raise ValueError("not a URL of HTTP")
    head = _HEAD.format(path=target.raw_path_qs, host=target.host_port_subcomponent)
    return ReceiverOrigin(target.scheme == "https", host, port), head.encode("ascii")


def _text(written: bytes) -> str:
    return written.decode("utf-8", "replace")


def _error_line(what: str, error: BaseException) -> str:
    """Return one line of printable ASCII: receivers put odd bytes into their answers."""
    text = f"{what}: {error}".encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in text)[:_ERROR_LENGTH_MAX]
