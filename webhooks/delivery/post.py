"""One attempt: a POST that always ends, and what came of it.

The HTTP client is used in this file only. An attempt ends within its time whatever the receiver
does; it follows no redirect, keeps no cookie, uses no proxy, and reads no more of an answer than
lets the connection be used again.

The owner of an endpoint may read the error of an attempt, and could name any host and port. So all
that can go wrong before there is an HTTP answer is one error, NO_ANSWER: whether a name is known or
private, a port closed, filtered or not speaking TLS, stands in our own log only (`Answer.detail`).
"""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from db.delivery.webhook_urls import WebhookUrlError, check_webhook_url
from webhooks.delivery.addresses import AddressRefused, CheckedResolver
from webhooks.delivery.answer_log import BODY_BYTES_READ, HEADERS_MAX
from webhooks.retry import Answer

NO_ANSWER = "no answer"

_ANSWER_BYTES_MAX = 16_384
_ANSWER_READ_S = 1.0
_ERROR_LENGTH_MAX = 300


class Poster:
    """A pool of connections to receivers; `async with Poster(...) as poster`."""

    def __init__(self, *, allow_loopback: bool, connections: int, timeout_s: float) -> None:
        self._allow_loopback = allow_loopback
        self._connections = connections
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        self._resolver = CheckedResolver(allow_loopback=self._allow_loopback)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver, limit=self._connections, ttl_dns_cache=30
            ),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"user-agent": "ops-companion-webhooks", "accept-encoding": "identity"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()
        await self._resolver.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send `body` as JSON. What goes wrong on the way is an Answer too, never an exception."""
        try:
            return await self._answer(url, headers, body)
        except WebhookUrlError as error:
            return Answer(None, f"refused: {error}")
        except TimeoutError:
            return Answer(None, NO_ANSWER, f"no answer within {self._timeout_s:g} s")
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, AddressRefused)
            detail = _told("refused" if refused else "no connection", error.os_error)
            return Answer(None, NO_ANSWER, detail)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(None, NO_ANSWER, _told(type(error).__name__, error))

    async def _answer(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        async with self._session.post(
            _checked(url, self._allow_loopback),
            data=body,
            headers={"content-type": "application/json", **headers},
            allow_redirects=False,
        ) as response:
            beginning = await _read_little(response)
            shown = tuple(islice(response.headers.items(), HEADERS_MAX))
            return Answer(response.status, None, headers=shown, body=beginning)


@lru_cache(maxsize=4096)
def _checked(url: str, allow_loopback: bool) -> URL:
    """Return `url` as the client will read it, which may differ from how it was written."""
    target = URL(url)
    check_webhook_url(str(target), allow_loopback=allow_loopback)
    return target


async def _read_little(response: aiohttp.ClientResponse) -> bytes:
    """Read a short answer to its end, and return its beginning. The connection of any other is
    closed, not used again: the status has told all that we want to know.
    """
    beginning = b""
    try:
        async with asyncio.timeout(_ANSWER_READ_S):
            left = _ANSWER_BYTES_MAX
            while left > 0 and (chunk := await response.content.read(left)):
                left -= len(chunk)
                if len(beginning) < BODY_BYTES_READ:
                    beginning += chunk[: BODY_BYTES_READ - len(beginning)]
    except (TimeoutError, aiohttp.ClientError):
        response.close()
    return beginning


def _told(what: str, error: BaseException) -> str:
    """Return one line of printable ASCII: receivers put odd bytes into their answers."""
    text = f"{what}: {error}".encode("ascii", "backslashreplace").decode()
    return "".join(char if char.isprintable() else " " for char in text)[:_ERROR_LENGTH_MAX]
