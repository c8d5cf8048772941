"""The open connections of this process: how many there may be, and whether each may stay.

Every `rights_s` the rights behind all of them are looked up, in one statement for many: a
credential that was revoked or has expired, a user who is gone, a plan without API, each ends the
connection within about `rights_s` of its commit. A wake-up has the connections of one organization
looked at sooner. The same round ends connections whose client cannot keep up. While the database is
away access tokens expire all the same, and after `unchecked_s` all connections end.
"""

import asyncio
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Protocol
from uuid import UUID

import structlog

from api.auth.caller import Caller, lets_through, sees_all
from api.context import ApiState
from api.http.problems import Problem, unavailable
from api.limits.plans import LIVE_CONNECTIONS
from api.live import closing
from api.live.closing import Closing
from api.live.credential import LiveCredential
from api.live.limits import LiveLimits
from api.live.slots import LiveSlots
from db.core.errors import InternalError, OperationalError
from db.identity import credentials
from db.identity.credentials import CredentialBatch, Principal
from db.resources import organizations, plans

_AT_ONCE = 1_000  # credentials that one statement looks up
_TROUBLE = (OperationalError, InternalError)

_log = structlog.get_logger("api")


class LiveStream(Protocol):
    """A connection of either kind."""

    credential: LiveCredential

    @property
    def scopes(self) -> Sequence[str]:
        """The scopes that a narrowed API key needs for what is subscribed to."""
        ...

    def is_too_slow(self, now_s: float) -> bool:
        """Return whether its client has not kept up for too long."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """The bytes that its client has not taken."""
        ...

    @property
    def reads_all_hours(self) -> bool:
        """Whether it is subscribed to events about the hours of everybody."""
        ...

    @property
    def reads_employees(self) -> bool: ...

    def end(self, why: Closing) -> None: ...


class Streams:
    """The connections that were let in."""

    def __init__(self, state: ApiState, most: int, limits: LiveLimits) -> None:
        self._state = state
        self._most = most
        self._limits = limits
        self._is_stopping = False
        self._streams: set[LiveStream] = set()
        self._changed: set[UUID] = set()  # organizations of which credentials have changed
        self._woken = asyncio.Event()
        self._checked_s = 0.0  # when the rights of all were looked up last
        self._is_away = False  # the database was, when it was tried last
        self.slots = LiveSlots(state.connections, limits.share_s)

    @property
    def open(self) -> int:
        return len(self._streams)

    @property
    def is_full(self) -> bool:
        """Whether the process has as many as it may."""
        return len(self._streams) >= self._most

    def all(self) -> Iterable[LiveStream]:
        return tuple(self._streams)

    async def add(self, stream: LiveStream) -> None:
        """Add a connection. Raises Problem (429, 503), and what the database may raise."""
        org_id = stream.credential.caller.org_id
        plan = await self._state.admission.plans.find(org_id)
        most = LIVE_CONNECTIONS[plan.name]
        if not await self.slots.acquire(org_id, most):
            detail = f"The organization has {most} open connections: close some."
            more = {"limit": most, "used": most}
            raise Problem(429, closing.TOO_MANY_CONNECTIONS.code, detail, more=more)
        try:
            self._check_room()
        except Problem:
            self.slots.give_back(org_id)
            raise
        self._streams.add(stream)

    def _check_room(self) -> None:
        if self._is_stopping:  # `end_all` would not find it
            raise unavailable("The server stops: connect again.")
        if self.is_full:
            raise unavailable("The server has too many open connections: try again later.")

    def remove(self, stream: LiveStream) -> None:
        """Remove a connection, if it was added."""
        if stream in self._streams:
            self._streams.remove(stream)
            self.slots.give_back(stream.credential.caller.org_id)

    def wake(self, org_id: UUID | None) -> None:
        """Look at the connections of an organization now: its credentials have changed. None: of
        any.
        """
        changed = self.slots.organizations & ({org_id} if org_id else self.slots.organizations)
        if changed:
            self._changed |= changed
            self._woken.set()

    def end_all(self) -> None:
        """End all connections, since the process stops, and let no more in. The server says that it
        stops once for each of its connections.
        """
        if self._is_stopping:
            return
        self._is_stopping = True
        for stream in self.all():
            stream.end(closing.GOING_AWAY)

    async def run(self, stop: asyncio.Event) -> None:
        """Look at all connections every `rights_s` until `stop` is set. What needs no database does
        not wait for one that does not answer.
        """
        chances = random.Random()
        loop = asyncio.get_running_loop()
        self._checked_s = loop.time()
        ending = asyncio.create_task(stop.wait())
        checking: asyncio.Task[None] | None = None
        try:
            while not stop.is_set():
                await asyncio.wait(
                    {ending}, timeout=self._limits.rights_s * chances.uniform(0.9, 1)
                )
                self._end_slow()
                self._end_expired()
                is_unanswered = checking is not None and not checking.done()
                if not is_unanswered:
                    if checking is not None:
                        checking.result()  # raises what will not mend
                    checking = asyncio.create_task(self._check())
                unchecked_s = loop.time() - self._checked_s
                if (is_unanswered or self._is_away) and unchecked_s > self._limits.unchecked_s:
                    self._end_unchecked()
        finally:
            for task in (ending, checking):
                if task is not None:
                    task.cancel()
            if checking is not None:
                await asyncio.gather(checking, return_exceptions=True)

    async def _check(self) -> None:
        """Look at the rights of all, and note whether that could be done."""
        try:
            await self.check_rights()
        except _TROUBLE as error:  # then no event can be read either
            if not self._is_away:
                _log.warning("live rights not checked", error=type(error).__name__)
            self._is_away = True
        else:
            self._is_away, self._checked_s = False, asyncio.get_running_loop().time()

    async def run_woken(self, stop: asyncio.Event) -> None:
        """Look at the connections of the organizations that `wake` names, until `stop` is set. A
        look that fails is made up for by `run`.
        """
        while not stop.is_set():
            await self._woken.wait()
            self._woken.clear()
            changed, self._changed = self._changed, set()
            with suppress(*_TROUBLE):
                await self.check_rights(changed)
            await asyncio.sleep(self._limits.changed_s)

    async def check_rights(self, org_ids: Collection[UUID] | None = None) -> None:
        """End the connections that may not stay. org_ids: those of these organizations; None: all.

        Raises what the database may raise.
        """
        streams = [
            stream
            for stream in self._streams
            if org_ids is None or stream.credential.caller.org_id in org_ids
        ]
        by_key: dict[bytes, LiveCredential] = {}
        for stream in streams:
            by_key[stream.credential.key] = stream.credential
        principals: dict[bytes, Principal] = {}
        for part in _parts(by_key.values()):
            principals |= await self._principals(part)
        programs = {caller.org_id for caller in _callers(streams) if caller.via != "session"}
        watching = {stream.credential.caller.org_id for stream in streams if stream.reads_employees}
        access: dict[UUID, bool] = {}
        hiding: set[UUID] = set()
        if programs or watching:
            async with self._state.connections.connection() as conn:
                if programs:
                    access = await plans.api_access(conn, programs)
                if watching:
                    hiding = watching - await organizations.showing_employees(conn, watching)
        now = datetime.now(UTC)
        for stream in streams:
            credential = stream.credential
            if credential.key in by_key:  # else it authenticated anew meanwhile
                principal = principals.get(credential.key)
                why = _reason(stream, principal, access, hiding, now)
                if why is not None:
                    stream.end(why)
                elif principal is not None:
                    stream.credential = credential.with_rights(principal)
                    if credential.caller.via == "session":  # a map on a wall is in use
                        self._state.usage.note(credential.caller)

    async def _principals(self, part: Sequence[LiveCredential]) -> dict[bytes, Principal]:
        asked = CredentialBatch(
            [
                (credential.caller.org_id, credential.caller.credential_id)
                for credential in part
                if credential.caller.via == "token"
            ],
            [credential.key for credential in part if credential.caller.via == "api_key"],
            [credential.key for credential in part if credential.caller.via == "session"],
        )
        idle = timedelta(seconds=self._state.settings.session_idle_s)
        async with self._state.connections.connection() as conn:
            return await credentials.of_many(conn, asked, idle)

    def _end_slow(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for stream in self.all():
            if stream.is_too_slow(now_s):
                stream.end(closing.TOO_SLOW)

    def _end_expired(self) -> None:
        """End the connections whose access token has expired, which needs no database."""
        now = datetime.now(UTC)
        for stream in self.all():
            if stream.credential.has_expired(now):
                stream.end(closing.TOKEN_EXPIRED)

    def _end_unchecked(self) -> None:
        for stream in self.all():
            stream.end(closing.UNAVAILABLE)


def _reason(
    stream: LiveStream,
    principal: Principal | None,
    access: dict[UUID, bool],
    hiding: set[UUID],
    now: datetime,
) -> Closing | None:
    """Return why a connection may not stay; None where it may.

    access: whether programs of an organization may use the API. hiding: the organizations that show
    no employees.
    """
    credential = stream.credential
    caller = credential.caller
    if credential.has_expired(now):
        return closing.TOKEN_EXPIRED
    if principal is None or principal.user_id != caller.user_id:
        return closing.UNAUTHORIZED
    if principal.expires_at is not None and principal.expires_at <= now:
        return closing.UNAUTHORIZED
    if principal.scopes is not None:
        scopes = frozenset(principal.scopes)
        if not all(lets_through(scopes, needed) for needed in stream.scopes):
            return closing.FORBIDDEN
    if (stream.reads_all_hours or stream.reads_employees) and not sees_all(principal.role):
        return closing.FORBIDDEN
    if stream.reads_employees and caller.org_id in hiding:
        return closing.EMPLOYEES_NOT_SHOWN
    if caller.via != "session" and not access.get(caller.org_id, False):
        return closing.PLAN_REQUIRED
    return None


def _callers(streams: Iterable[LiveStream]) -> Iterator[Caller]:
    for stream in streams:
        yield stream.credential.caller


def _parts(every: Iterable[LiveCredential]) -> Iterator[list[LiveCredential]]:
    rest = iter(every)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
