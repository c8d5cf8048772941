"""One WebSocket: it authenticates by its first message, subscribes, and gets what it subscribed to.

    -> {"op": "authenticate", "token": "..."}    <- {"op": "authenticated", ...}
    -> {"op": "subscribe", "id": 1, "channel": "events", "types": ["asset.*"], "after": 17}
    <- {"op": "subscribed", "id": 1, ...}        <- {"op": "event", "event": {...}}

Nothing is queued for a client: while it has not taken what was sent, its subscriptions are not
asked for more. So it holds at most HIGH_BYTES and one message, and a page of its backlog.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import HTTPConnection

from api.auth.caller import lets_through
from api.http.encoding import id_text, optional_time_text
from api.http.problems import Problem, forbidden, unauthorized
from api.http.websocket import HIGH_BYTES, MOST_UNSENT_BYTES, BoundedWebSocket
from api.live import closing
from api.live.closing import Closing
from api.live.credential import LiveCredential, credential_of_bearer, credential_of_cookie
from api.live.feeds.event_feed import BeyondNewest, EventsGone, EventSubscription
from api.live.feeds.lag import Lag
from api.live.feeds.positions import PositionSubscription, TooManySubscriptions
from api.live.frames import text_frame
from api.live.live import Live
from api.live.messages import (
    Authenticate,
    BadMessage,
    Message,
    Ping,
    Subscribe,
    Unsubscribe,
    read_message,
)
from api.request.positions import check_employees_shown
from db.core.errors import InternalError, OperationalError
from db.core.tenant import reading

MOST_SUBSCRIPTIONS = 8  # one of events, the rest of positions
MESSAGES_A_SECOND, MESSAGES_AT_ONCE = 10, 50
MOST_BAD_MESSAGES = 20
CHUNK_BYTES = 32 * 1024
_SCOPES = {"events": "events:read", "positions": "asset-positions:read"}
_SCOPE_OF_EMPLOYEES = "employee-positions:read"
_CLOSINGS = {401: closing.UNAUTHORIZED, 403: closing.FORBIDDEN, 503: closing.UNAVAILABLE}
_TROUBLE = (OperationalError, InternalError)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class LiveConnection:
    """One connection, whose handshake is over."""

    credential: LiveCredential
    """Set once the connection has authenticated."""

    def __init__(
        self, live: Live, socket: BoundedWebSocket, request: HTTPConnection, receive: Receive
    ) -> None:
        self._live = live
        self._request = request
        self._socket = socket
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._events: EventSubscription | None = None
        self._events_id = 0
        self._positions: dict[int, _Viewer] = {}
        self._lag = Lag(live.limits.lag_s)
        self._stuck_since_s: float | None = None
        self._again: asyncio.TimerHandle | None = None
        self._notice: asyncio.TimerHandle | None = None
        self._tokens = float(MESSAGES_AT_ONCE)
        self._tokens_s = self._loop.time()
        self._bad_messages = 0
        self._ended: str | None = None
        """The code of our own close; None: the client has gone."""

    # For `Streams`

    @property
    def scopes(self) -> Sequence[str]:
        events = () if self._events is None else (_SCOPES["events"],)
        return (*events, *{viewer.scope for viewer in self._positions.values()})

    @property
    def unsent_bytes(self) -> int:
        return self._socket.unsent_bytes

    @property
    def reads_all_hours(self) -> bool:
        return self._events is not None and self._events.hours_of is None

    @property
    def reads_employees(self) -> bool:
        return any(viewer.scope == _SCOPE_OF_EMPLOYEES for viewer in self._positions.values())

    def is_too_slow(self, now_s: float) -> bool:
        if (
            self._stuck_since_s is not None
            and now_s - self._stuck_since_s > self._live.limits.stuck_s
        ):
            return True
        return self._events is not None and self._lag.is_too_long(self._events, now_s)

    def end(self, why: Closing) -> None:
        """Close the connection. The close says the seq from which a reader of events goes on."""
        if self._socket.close_sent:
            return
        if self._events is not None:
            why = why._replace(seq=self._events.seq)
        self._close_subscriptions()
        self._ended = why.code
        self._live.metrics.ended.labels(why.code).inc()
        self._socket.end(why.status, why.reason())

    # The life of the connection

    def log_fields(self) -> dict[str, str | None]:
        """Return what the log says of the connection when it has ended."""
        if not hasattr(self, "credential"):
            return {"ended": self._ended}
        caller = self.credential.caller
        return {
            "ended": self._ended,
            "organization": id_text("org", caller.org_id),
            "user": id_text("usr", caller.user_id),
            "via": caller.via,
        }

    async def run(self, bearer: str | None) -> None:
        """Serve until either side closes. bearer: a token that came with the handshake."""
        try:
            if await self._sign_in(bearer):
                self._socket.become_known()
                self._socket.on_writable = self._has_drained
                self._socket.on_unresponsive = self._is_unresponsive
                await self._serve()
        finally:
            self._close_subscriptions()
            for timer in (self._notice, self._again):
                if timer is not None:
                    timer.cancel()
            self._live.streams.remove(self)

    async def _sign_in(self, bearer: str | None) -> bool:
        """Read the first message, which authenticates, and return whether it is let in."""
        message = Authenticate(token=bearer)
        try:
            async with asyncio.timeout(self._live.limits.authentication_s):
                if bearer is None:
                    text = await self._next_text()
                    if text is None:
                        return False
                    first = read_message(text)
                    if not isinstance(first, Authenticate):
                        raise BadMessage("The first message must have the op authenticate.")
                    message = first
                self.credential = await self._admitted(message.token)
                await self._live.streams.add(self)
        except TimeoutError:
            self.end(closing.AUTHENTICATION_TIMEOUT)
        except BadMessage as error:
            self._refuse(error.id, closing.BAD_MESSAGE.code, str(error))
            self.end(closing.BAD_MESSAGE)
        except Problem as problem:
            self._refuse(message.id, problem.code, problem.detail)
            self.end(_closing_of(problem))
        except _TROUBLE:
            self._refuse(message.id, *_UNAVAILABLE)
            self.end(closing.UNAVAILABLE)
        else:
            self._authenticated(message.id)
            return not self._socket.close_sent
        return False

    async def _admitted(self, token: str | None) -> LiveCredential:
        """Return the credential behind a token, or behind the cookie, and count a request of it.
        Raises Problem.
        """
        state, request = self._live.state, self._request
        try:
            if token is None and state.cookies.read(request) is None:
                raise unauthorized("A token is needed: the `token` of the first message.")
            if token is None:
                credential = await credential_of_cookie(state, request)
            else:
                credential = await credential_of_bearer(state, token)
        except Problem as problem:
            if problem.status == 401:
                state.admission.count_bad_credential(request)
            raise
        state.usage.note(credential.caller)
        await state.admission.admit(request, credential.caller, is_gated=True)
        return credential

    async def _serve(self) -> None:
        while (text := await self._next_text()) is not None:
            if not self._may_send_message():
                self.end(closing.TOO_MANY_MESSAGES)
                return
            try:
                await self._handle(read_message(text))
            except BadMessage as error:
                self._refuse(error.id, closing.BAD_MESSAGE.code, str(error))
                self._bad_messages += 1
                if self._bad_messages > MOST_BAD_MESSAGES:
                    self.end(closing.BAD_MESSAGE)
            if self._socket.unsent_bytes > MOST_UNSENT_BYTES:
                self.end(closing.TOO_SLOW)

    async def _next_text(self) -> str | None:
        """Return the next message; None where the connection is closed."""
        received = await self._receive()
        if self._socket.is_flooded:
            self.end(closing.TOO_MANY_MESSAGES)
            return None
        if received["type"] != "websocket.receive":
            return None
        text = received.get("text")
        if text is None:
            self.end(closing.NOT_TEXT)
        return text

    def _may_send_message(self) -> bool:
        now_s = self._loop.time()
        gained = (now_s - self._tokens_s) * MESSAGES_A_SECOND
        self._tokens = min(self._tokens + gained, MESSAGES_AT_ONCE) - 1
        self._tokens_s = now_s
        return self._tokens >= 0

    # The messages of the client

    async def _handle(self, message: Message) -> None:
        try:
            match message:
                case Authenticate():
                    await self._authenticate_again(message)
                case Subscribe():
                    await self._subscribe(message)
                case Unsubscribe():
                    self._unsubscribe(message.id)
                case Ping():
                    place = {} if self._events is None else {"seq": self._events.seq}
                    self._send({"op": "pong", "id": message.id, **place})
        except Problem as problem:
            self._refuse(message.id, problem.code, problem.detail)
        except _TROUBLE:
            self._refuse(message.id, *_UNAVAILABLE)

    async def _authenticate_again(self, message: Authenticate) -> None:
        """Go on with another token of the same user."""
        if message.token is None:
            raise BadMessage("`token` is missing.", message.id)
        credential = await self._admitted(message.token)
        now = self.credential.caller
        if (credential.caller.org_id, credential.caller.user_id) != (now.org_id, now.user_id):
            raise forbidden("The token is another user's: open another connection.")
        self.credential = credential
        if (self.reads_all_hours or self.reads_employees) and not credential.caller.sees_all:
            self.end(closing.FORBIDDEN)
            return
        self._authenticated(message.id)

    def _authenticated(self, message_id: int | None) -> None:
        caller, expires_at = self.credential.caller, self.credential.expires_at
        self._send(
            {
                "op": "authenticated",
                "id": message_id,
                "organization_id": id_text("org", caller.org_id),
                "user_id": id_text("usr", caller.user_id),
                "role": caller.role,
                "expires_at": optional_time_text(expires_at),
            }
        )
        if self._notice is not None:
            self._notice.cancel()
            self._notice = None
        if expires_at is not None:
            left_s = (expires_at - datetime.now(UTC)).total_seconds()
            self._notice = self._loop.call_later(
                max(left_s - self._live.limits.expiry_notice_s, 0), self._notify
            )

    def _notify(self) -> None:
        expires_at = optional_time_text(self.credential.expires_at)
        self._send({"op": "token_expires", "expires_at": expires_at})

    async def _subscribe(self, message: Subscribe) -> None:
        message.check()
        scopes = self.credential.caller.scopes
        scope = _SCOPE_OF_EMPLOYEES if message.is_of_employees else _SCOPES[message.channel]
        if scopes is not None and not lets_through(scopes, scope):
            raise Problem(403, "scope_missing", f"The API key has not the scope {scope}.")
        if message.id in self._positions or (self._events and message.id == self._events_id):
            raise BadMessage("The connection has a subscription with this id.", message.id)
        if len(self._positions) + (self._events is not None) >= MOST_SUBSCRIPTIONS:
            detail = f"A connection may have {MOST_SUBSCRIPTIONS} subscriptions."
            raise Problem(403, "too_many_subscriptions", detail)
        caller = self.credential.caller
        await self._live.state.admission.admit(self._request, caller, is_gated=True)
        if message.channel == "events":
            await self._subscribe_to_events(message)
        else:
            await self._subscribe_to_positions(message, scope)
        self._pump()

    async def _subscribe_to_events(self, message: Subscribe) -> None:
        if self._events is not None:
            detail = f"The connection reads events by the subscription {self._events_id}: end it."
            raise Problem(409, "already_subscribed", detail)
        types = message.wanted_types()
        caller = self.credential.caller
        try:
            subscription = await self._live.events.subscribe(
                caller.org_id,
                types,
                message.after,
                self._pump,
                own_hours_of=caller.own_hours_of,
            )
        except EventsGone as error:
            raise Problem(400, closing.EVENTS_GONE.code, str(error)) from None
        except BeyondNewest as error:
            raise BadMessage(str(error), message.id) from None
        if self._socket.close_sent:  # while it was looked up
            subscription.close()
            return
        if self.credential.caller.own_hours_of != caller.own_hours_of:  # another role since
            subscription.close()
            self.end(closing.FORBIDDEN)
            return
        self._events, self._events_id = subscription, message.id
        self._lag = Lag(self._live.limits.lag_s)
        self._send(
            {
                "op": "subscribed",
                "id": message.id,
                "channel": message.channel,
                "after": subscription.seq,
            }
        )

    async def _subscribe_to_positions(self, message: Subscribe, scope: str) -> None:
        wanted, org_id = message.wanted_positions(), self.credential.caller.org_id
        feed = self._live.positions
        if message.is_of_employees:
            feed = self._live.employee_positions
            await self._check_sees_employees()
        try:
            subscription = await feed.subscribe(org_id, wanted, self._pump)
        except TooManySubscriptions as error:
            raise Problem(403, "too_many_subscriptions", str(error)) from None
        if message.is_of_employees:
            try:
                await self._check_employees_shown()  # they may be hidden since
            except BaseException:
                subscription.close()
                raise
        if self._socket.close_sent:
            subscription.close()
            return
        if message.is_of_employees and not self.credential.caller.sees_all:  # another role since
            subscription.close()
            self.end(closing.FORBIDDEN)
            return
        self._positions[message.id] = _Viewer(message.id, subscription, scope)
        self._send({"op": "subscribed", "id": message.id, "channel": message.channel})

    async def _check_sees_employees(self) -> None:
        """Raise Problem (403) where the caller, or nobody, sees where employees are."""
        caller = self.credential.caller
        if not caller.sees_all:
            raise forbidden(f"The role {caller.role} does not see where employees are.")
        await self._check_employees_shown()

    async def _check_employees_shown(self) -> None:
        """Raise Problem (403) where the organization shows no employees."""
        org_id = self.credential.caller.org_id
        async with reading(self._live.state.connections, org_id) as conn:
            await check_employees_shown(conn)

    def _unsubscribe(self, subscription_id: int) -> None:
        viewer = self._positions.pop(subscription_id, None)
        if viewer is not None:
            viewer.subscription.close()
        elif self._events is not None and subscription_id == self._events_id:
            self._events.close()
            self._events = None
        else:
            raise BadMessage("There is no subscription with this id.", subscription_id)
        self._send({"op": "unsubscribed", "id": subscription_id})

    def _close_subscriptions(self) -> None:
        if self._events is not None:
            self._events.close()
        for viewer in self._positions.values():
            viewer.subscription.close()
        self._positions.clear()

    # What is sent

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.write(text_frame(msgspec.json.encode(message)))

    def _refuse(self, message_id: int | None, code: str, detail: str) -> None:
        self._send({"op": "error", "id": message_id, "code": code, "detail": detail})

    def _pump(self) -> None:
        """Send what the subscriptions have, as long as the client takes it."""
        socket = self._socket
        if socket.close_sent:
            return
        if self._events is not None:
            while socket.unsent_bytes < HIGH_BYTES and (events := self._events.pull(CHUNK_BYTES)):
                if len(events) == 1:
                    socket.write(events[0].frame)
                else:
                    socket.write(b"".join([event.frame for event in events]))
            if self._events.gone_seq is not None:
                self.end(closing.EVENTS_GONE)
                return
            if self._events.has_failed:
                self.end(closing.UNAVAILABLE)
                return
        while socket.unsent_bytes < HIGH_BYTES and (frame := self._next_positions()):
            socket.write(frame)
        if socket.unsent_bytes >= HIGH_BYTES:
            self._wait_for_room()

    def _next_positions(self) -> bytes | None:
        """Return the next message with positions, of each subscription in turn; None where nothing
        is new.
        """
        for message_id, viewer in self._positions.items():
            if frame := viewer.next_frame():
                self._positions[message_id] = self._positions.pop(message_id)  # the others first
                return frame
        return None

    def _wait_for_room(self) -> None:
        """Go on when the client has taken what was sent. Before the transport has tried to send it,
        nobody knows whether the client is slow.
        """
        if not self._socket.is_writable:
            if self._stuck_since_s is None:
                self._stuck_since_s = self._loop.time()
        elif self._again is None:
            self._again = self._loop.call_later(0.001, self._pump_again)

    def _pump_again(self) -> None:
        self._again = None
        self._pump()

    def _has_drained(self) -> None:
        self._stuck_since_s = None
        self._pump()

    def _is_unresponsive(self) -> None:
        self.end(closing.TOO_SLOW)


class _Viewer:
    """A subscription to positions, whose positions go out in messages of a bounded size."""

    def __init__(self, message_id: int, subscription: PositionSubscription, scope: str) -> None:
        self.subscription, self.scope = subscription, scope
        self._head = b'{"op":"positions","id":%d,"positions":[' % message_id

    def next_frame(self) -> bytes | None:
        """Return the next message; None where there is nothing new. What is not in it is taken
        later, and so is newer then.
        """
        bodies = self.subscription.pull(CHUNK_BYTES)
        return text_frame(self._head + b",".join(bodies) + b"]}") if bodies else None


_UNAVAILABLE = ("unavailable", "The database is not available: try again later.")


def _closing_of(problem: Problem) -> Closing:
    for known in (closing.PLAN_REQUIRED, closing.TOO_MANY_CONNECTIONS):
        if problem.code == known.code:
            return known
    return _CLOSINGS.get(problem.status, closing.TOO_MANY_MESSAGES)
