"""A webhook endpoint on loopback that keeps what it is sent, and checks the signatures afterwards.

Receiving is cheap: a request is put away and answered with 204. A task of its own checks signatures
a few at a time, soon enough for the five minutes in which a timestamp is fresh. The check is that
of the package `standardwebhooks` where it is installed, else our own of the same specification.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web

try:
    import standardwebhooks
except ModuleNotFoundError:  # a development dependency
    standardwebhooks = None

_MAX_BODY_BYTES = 1024 * 1024
_UNCHECKED_MAX = 200_000
_CHECKED_AT_A_TIME = 50
_TOLERANCE_S = 300
_PREFIX = "whsec_"

SignatureCheck = Callable[[dict[str, str], bytes], str | None]
"""Takes headers (names in lower case) and body; gives what is wrong with the signature, or None."""


class Received(NamedTuple):
    """One request: its id, its body, what is wrong with its signature, if anything.

    received_us: when it came, microseconds since 1970.
    """

    webhook_id: str
    body: bytes
    signature_problem: str | None
    received_us: int = 0


class WebhookReceiver:
    """An HTTP server on a loopback port, a free one unless given; `async with` starts and ends it.

    `expect(secret)` must be told the endpoint's secret before signatures can be checked; requests
    that come earlier wait for it. `keep` says whether requests are remembered in `received` and
    `ids`; a receiver that runs without end must not. Each request is answered after `delay_s`, and
    counts only if its sender is still there: what a killed sender did not send again is missing.
    """

    def __init__(
        self,
        on_received: Callable[[Received], None] | None = None,
        *,
        keep: bool = True,
        port: int = 0,
        delay_s: float = 0.0,
    ) -> None:
        self._on_received = on_received
        self._keep = keep
        self._delay_s = delay_s
        self._unchecked: deque[tuple[dict[str, str], bytes, int]] = deque()
        self._work = asyncio.Event()  # there is something to check, and something to check it with
        self._idle = asyncio.Event()  # nothing is unchecked
        self._idle.set()
        self._check: SignatureCheck | None = None
        self._runner = web.ServerRunner(web.Server(self._receive, access_log=None))
        self._checker: asyncio.Task[None] | None = None
        self.received: list[Received] = []
        self.ids: set[str] = set()
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def expect(self, secret: str) -> str:
        """Check signatures with this secret from now on; returns the name of the check."""
        self._check, name = signature_check(secret)
        if self._unchecked:
            self._work.set()
        return name

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self._checker = asyncio.create_task(self._check_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._checker is not None:
            self._checker.cancel()
        await self._runner.cleanup()

    async def checked(self) -> None:
        """Return when every request so far has been checked."""
        await self._idle.wait()

    async def _receive(self, request: web.BaseRequest) -> web.Response:
        if request.content_length is None or request.content_length > _MAX_BODY_BYTES:
            return web.Response(status=413)
        if len(self._unchecked) >= _UNCHECKED_MAX:
            return web.Response(status=503)
        body = await request.read()
        headers = {name: request.headers.get(name, "") for name in _SIGNED_HEADERS}
        received_us = time.time_ns() // 1000
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
            if request.transport is None or request.transport.is_closing():
                return web.Response(status=503)
        self._unchecked.append((headers, body, received_us))
        self._idle.clear()
        if self._check is not None:
            self._work.set()
        return web.Response(status=204)

    async def _check_all(self) -> None:
        while True:
            await self._work.wait()
            for _ in range(min(_CHECKED_AT_A_TIME, len(self._unchecked))):
                self._check_one(*self._unchecked.popleft())
            if not self._unchecked:
                self._work.clear()
                self._idle.set()
            await asyncio.sleep(0)

    def _check_one(self, headers: dict[str, str], body: bytes, received_us: int) -> None:
        assert self._check is not None
        problem = self._check(headers, body)
        webhook = Received(headers["webhook-id"], body, problem, received_us)
        if self._keep:
            self.received.append(webhook)
            self.ids.add(webhook.webhook_id)
        if self._on_received is not None:
            self._on_received(webhook)


_SIGNED_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def signature_check(secret: str) -> tuple[SignatureCheck, str]:
    """Return the check for `secret`, and its name: the independent package's where there is one."""
    if standardwebhooks is None:
        return own_check(secret), "our own check (package standardwebhooks is not installed)"
    return _independent_check(secret), "package standardwebhooks"


def _independent_check(secret: str) -> SignatureCheck:
    assert standardwebhooks is not None
    webhook = standardwebhooks.Webhook(secret)
    refused = standardwebhooks.WebhookVerificationError

    def check(headers: dict[str, str], body: bytes) -> str | None:
        try:
            webhook.verify(body, headers, json_parse=False)
        except (refused, ValueError) as error:  # ValueError: no UTF-8, no base64
            return str(error)
        return None

    return check


def own_check(secret: str) -> SignatureCheck:
    """Return a check by Standard Webhooks 1.0.0, symmetric signatures, written down once more."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))

    def check(headers: dict[str, str], body: bytes) -> str | None:
        message_id, moment = headers["webhook-id"], headers["webhook-timestamp"]
        if not moment.isdecimal() or abs(int(moment) - time.time()) > _TOLERANCE_S:
            return f"timestamp {moment!r} is not within {_TOLERANCE_S} s of now"
        digest = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256)
        wanted = "v1," + base64.b64encode(digest).decode()
        given = headers["webhook-signature"].split(" ")
        if any(
            hmac.compare_digest(wanted, signature) for signature in given if signature.isascii()
        ):
            return None
        return "no signature matches"

    return check
