"""`GET /v1/events/stream`: events as they happen, as Server-Sent Events (HTML standard, 9.2).

The id of each message is the event's `seq`, so a browser that connects again goes on behind the
last one by itself. An id comes at the beginning and in silence, too: the place of a reader
moves on while none of the wanted types happens. Before the stream begins an error is a problem
document; later it is a message of the type `end`, with the object that closes a WebSocket.
"""

import asyncio
from asyncio import Transport
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http import fields
from api.http.middleware import is_head
from api.http.problems import bad_parameter
from api.http.server import EXTENSION, KNOWN_EXTENSION
from api.http.websocket import LINGER_S
from api.live import closing
from api.live.closing import Closing
from api.live.credential import LiveCredential, credential_of_request
from api.live.feeds.event_feed import BeyondNewest, EventsGone, EventSubscription
from api.live.feeds.lag import Lag
from api.live.live import Live
from api.openapi.event_types import TypeList, chosen_types
from api.request.access import Reader
from api.request.route import TenantRoute

router = APIRouter(prefix="/v1/events/stream", tags=["events"], route_class=TenantRoute)

RECONNECT_MS = 2_000
MEDIA_TYPE = "text/event-stream"
_CHUNK_BYTES = 32 * 1024
_MOST_SEQ = 2**63 - 1


class EventStreamQuery(fields.Query):
    """The place in the events to go on from, and the wanted types."""

    after: Annotated[
        int | None,
        Field(
            ge=0,
            le=_MOST_SEQ,
            description="the last seq seen; 0: all that are kept; left out: from now on."
            " The header Last-Event-ID goes before it",
            examples=[17],
        ),
    ] = None
    types: TypeList | None = None


class _EventStreamResponse(StreamingResponse):
    """The stream, which ends with its connection."""

    media_type = MEDIA_TYPE

    def __init__(self, stream: "EventStream") -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(stream.chunks(), headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.close()


@router.get(
    "",
    operation_id="streamEvents",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Messages whose `data` is an event.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    request: Request, access: Reader, query: Annotated[EventStreamQuery, Query()]
) -> Response:
    """Stream events as they happen."""
    live: Live = request.app.state.live
    types = None if query.types is None else chosen_types(query.types.split(","))
    after_seq = _last_event_id(request, query.after)
    if is_head(request.scope):
        return Response(media_type=MEDIA_TYPE)
    credential = await credential_of_request(live.state, request)
    stream = EventStream(live, credential, request.scope["extensions"][EXTENSION])
    await live.streams.add(stream)
    request.scope["extensions"][KNOWN_EXTENSION](None)
    try:
        await stream.subscribe(types, after_seq)
    except BaseException:
        stream.close()
        raise
    return _EventStreamResponse(stream)


class EventStream:
    scopes: Sequence[str] = ("events:read",)
    reads_employees = False

    def __init__(self, live: Live, credential: LiveCredential, transport: Transport) -> None:
        self.credential = credential
        self._transport = transport
        self._lingering: asyncio.TimerHandle | None = None
        self._live = live
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._events: EventSubscription | None = None
        self._lag = Lag(live.limits.lag_s)
        self._why: Closing | None = None
        self._sending_since_s: float | None = None

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def reads_all_hours(self) -> bool:
        return self._events is not None and self._events.hours_of is None

    def is_too_slow(self, now_s: float) -> bool:
        since_s = self._sending_since_s
        if since_s is not None and now_s - since_s > self._live.limits.stuck_s:
            return True
        return self._events is not None and self._lag.is_too_long(self._events, now_s)

    def end(self, why: Closing) -> None:
        """Let the stream end with a last message, for which its client has LINGER_S."""
        if self._why is not None:
            return
        self._why = why
        self._live.metrics.ended.labels(why.code).inc()
        self._ready.set()
        self._lingering = self._loop.call_later(LINGER_S, self._transport.abort)

    async def subscribe(self, types: frozenset[str] | None, after_seq: int | None) -> None:
        """Begin. Raises Problem (400), and what the database may raise."""
        caller = self.credential.caller
        try:
            self._events = await self._live.events.subscribe(
                caller.org_id,
                types,
                after_seq,
                self._ready.set,
                own_hours_of=caller.own_hours_of,
            )
        except EventsGone as error:
            raise bad_parameter("after", str(error), code=closing.EVENTS_GONE.code) from None
        except BeyondNewest as error:
            raise bad_parameter("after", str(error)) from None

    def close(self) -> None:
        """Forget the stream, whose client is gone or has read its end."""
        if self._events is not None:
            self._events.close()
        if self._lingering is not None:
            self._lingering.cancel()
        self._live.streams.remove(self)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what is sent. The server asks for the next chunk at once while it has fewer than
        64 KiB to send, else when 16 KiB are left.
        """
        async for chunk in self._messages():
            self._sending_since_s = self._loop.time()
            yield chunk
            self._sending_since_s = None

    async def _messages(self) -> AsyncIterator[bytes]:
        events = self._events
        assert events is not None  # it was subscribed before the response was made
        yield b"retry: %d\nid: %d\n\n" % (RECONNECT_MS, events.seq)
        silent_since_s = self._loop.time()
        while self._why is None:
            self._ready.clear()
            if taken := events.pull(_CHUNK_BYTES):
                yield b"".join([event.chunk for event in taken])
                silent_since_s = self._loop.time()
            elif events.gone_seq is not None:
                self.end(closing.EVENTS_GONE)
            elif events.has_failed:
                self.end(closing.UNAVAILABLE)
            elif await self._is_silent_until(silent_since_s + self._live.limits.keep_alive_s):
                yield b"id: %d\n\n" % events.seq  # which shows that the stream is alive, too
                silent_since_s = self._loop.time()
        last = {"code": self._why.code, "seq": events.seq}
        yield b"id: %d\nevent: end\ndata: %b\n\n" % (events.seq, msgspec.json.encode(last))

    async def _is_silent_until(self, due_s: float) -> bool:
        """Wait until there may be events, or until `due_s`. Returns whether that is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due_s):
                await self._ready.wait()
        return self._loop.time() >= due_s


def _last_event_id(request: Request, after_seq: int | None) -> int | None:
    """Return the seq to go on from: that of the header, which a browser sends with the same URL as
    before, or else that of the parameter.
    """
    given = request.headers.get("last-event-id", "")
    if not given:
        return after_seq
    is_short = len(given) <= len(str(_MOST_SEQ))  # int refuses thousands of digits
    if not (is_short and given.isascii() and given.isdecimal()) or int(given) > _MOST_SEQ:
        raise bad_parameter("Last-Event-ID", "It must be the seq of an event.")
    return int(given)
