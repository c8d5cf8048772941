"""Connections whose waits are all bounded.

By default PostgreSQL waits for ever: for a lock, for a peer that is gone, for a client that sleeps
inside a transaction. So a frozen leader would block its successor. Each of our connections carries
the limits below; a caller that needs more time passes its own limits.

Connections are in autocommit. A transaction begins only with `async with conn.transaction()` or
`db.core.tenant.tenant`.
"""

import select
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias
from uuid import UUID

from psycopg import AsyncConnection, OperationalError, ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic, _WaitTimeout
from psycopg_pool import AsyncConnectionPool

from db.core.errors import RECONNECT_S, NoAnswer, NotReplicated
from db.core.wakeups import Channel, WakeUp

DATABASE_URL_FORM = (
    "a URL like postgresql://user:password@host:port/database, with commas between several"
    " host:port"
)
_CONNECT_S, _CONNECT_EACH_S = 10, 2  # to the only server, and to each of several
_ANSWER_S, _CANCEL_S = 5, 2  # of an answer beyond the limit of a statement; of a cancellation
_WAITS_FOR_STANDBYS = "SyncRepWaitForLSN"  # what a COMMIT is in meanwhile; its text is translated
_STANDBY = "standby"
_SCHEMES = ("postgresql://", "postgres://")

Turn: TypeAlias = AbstractAsyncContextManager[Callable[[], None]]
"""A turn at a connection. It gives what is to be called when the connection is there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which the server gives up on us, each counted on its own."""

    statement_s: float = 30
    lock_s: float = 5
    transaction_s: float = 60
    idle_in_transaction_s: float = 10


class Connection(AsyncConnection[tuple[Any, ...]]):
    """A connection that knows the wake-ups of its transaction.

    Whatever commits raises NotReplicated where PostgreSQL gave up waiting for a synchronous
    standby: it says so in a warning, and calls it a success. Whatever is not answered in
    `answer_s` raises NoAnswer and closes the connection: a server whose disk hangs accepts all and
    answers nothing, and a COMMIT waits for a standby beyond all limits of the server.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answer_s: float | None = None
        self._wake_ups: set[WakeUp] = set()
        self._gave_up_standbys = False
        self.add_notice_handler(self._hear)

    async def wait(self, *args: Any, **options: Any) -> Any:
        """All that is asked of the server passes through here."""
        if "timeout" in options:
            return await super().wait(*args, **options)
        self._gave_up_standbys = False  # for a caller that gave up itself
        try:
            answer = await super().wait(*args, timeout=self.answer_s, **options)
        except _WaitTimeout:
            with suppress(OperationalError):
                await self.cancel_safe(timeout=_CANCEL_S)
            self.pgconn.finish()
            raise NoAnswer from None
        if self._gave_up_standbys:
            raise NotReplicated
        return answer

    def _hear(self, notice: Diagnostic) -> None:
        if notice.source_function == _WAITS_FOR_STANDBYS:
            self._gave_up_standbys = True

    def note(self, channel: Channel, org_id: UUID | None = None) -> None:
        """Note a wake-up, for whoever commits to send (`db.core.wakeups`)."""
        self._wake_ups.add(WakeUp(channel, org_id))

    def pop_wake_ups(self) -> set[WakeUp]:
        """Return what was noted, and forget it."""
        taken, self._wake_ups = self._wake_ups, set()
        return taken


def _nobody(_: Iterable[WakeUp]) -> None: ...


def _at_once(_: UUID | None) -> Turn:
    return nullcontext(lambda: None)


class Pool(AsyncConnectionPool[Connection]):
    """A pool that sends what was noted on a connection, once that has committed and is back.

    on_committed: sends wake-ups (`db.core.wakeups`). turn: waits until it is the turn of an
    organization, or of what is of none; by default whoever comes first is served first.
    """

    on_committed: Callable[[Iterable[WakeUp]], None] = staticmethod(_nobody)
    turn: Callable[[UUID | None], Turn] = staticmethod(_at_once)

    async def getconn(self, timeout: float | None = None) -> Connection:
        """Return a connection that the server has not ended.

        When the server was restarted, all have ended, and new ones take their place at once. The
        pool's own `check` would pause after each, and longer each time.
        """
        until_s = monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            conn = await super().getconn(max(0.0, until_s - monotonic()))
            try:
                await _check(conn)
            except OperationalError:
                await self.putconn(conn)
            except BaseException:
                await self.putconn(conn)
                raise
            else:
                return conn

    @asynccontextmanager
    async def connection(
        self, timeout: float | None = None, *, org_id: UUID | None = None
    ) -> AsyncIterator[Connection]:
        """Provide a connection, in the turn of an organization; None: of what is of none. Commits
        at the end; an exception rolls back.
        """
        async with self.turn(org_id) as begin:
            conn = await self.getconn(timeout)
            begin()
            try:
                async with conn:
                    yield conn
            except NoAnswer:
                await self.drain()  # the others lead to the same server
                raise
            finally:
                wake_ups = conn.pop_wake_ups()
                await self.putconn(conn)
        if wake_ups:
            self.on_committed(wake_ups)


def check_url(url: str) -> None:
    """Raise ValueError where `url` is no connection URL. The error shows nothing of the URL,
    because libpq's own text may show the password."""
    try:
        parts = conninfo_to_dict(url) if url.startswith(_SCHEMES) else {}
    except ProgrammingError:
        parts = {}
    ports = str(parts.get("port", "")).split(",")
    if not parts or not all(port == "" or port.isdecimal() for port in ports):
        raise ValueError(f"must be {DATABASE_URL_FORM}")


def check_addresses(url: str) -> None:
    """Raise ValueError where `url` is no connection URL, or has a login."""
    check_url(url)
    if conninfo_to_dict(url).keys() & {"user", "password"}:
        raise ValueError("must have no login: that of OPSC_DATABASE_URL is used")


def of_standbys(url: str, addresses: str) -> str:
    """Return how a standby at `addresses` is connected to: with the login and to the database of
    `url`. One that cannot be found, or is none any more, is no connection.
    """
    of_primary = {"host", "hostaddr", "port", "target_session_attrs"}
    kept = {name: value for name, value in conninfo_to_dict(url).items() if name not in of_primary}
    wanted = kept | conninfo_to_dict(addresses) | {"target_session_attrs": _STANDBY}
    return make_conninfo("", **wanted)


def of_primary(url: str) -> str:
    """Return how the one server at `url` that can be written to is connected to, where `url` names
    several: never a standby.
    """
    several = _names_several(url)
    return make_conninfo(url, target_session_attrs="read-write") if several else url


def _names_several(url: str) -> bool:
    return "," in str(conninfo_to_dict(url).get("host", ""))


def conninfo(url: str, application_name: str, limits: Limits | None = None) -> str:
    """Add our limits to `url`; raises psycopg.ProgrammingError where it is not a connection URL.

    Of several servers, the one that can be written to is taken, or a standby (`of_standbys`).
    """
    bounds = limits or Limits()
    parts = conninfo_to_dict(url)
    is_of_standbys = parts.get("target_session_attrs") == _STANDBY
    settings = {
        "statement_timeout": bounds.statement_s,
        "lock_timeout": bounds.lock_s,
        "transaction_timeout": bounds.transaction_s,
        "idle_in_transaction_session_timeout": bounds.idle_in_transaction_s,
    }
    options = " ".join(f"-c {name}={round(value * 1000)}" for name, value in settings.items())
    return make_conninfo(
        url if is_of_standbys else of_primary(url),
        application_name=application_name,
        options=options + " -c TimeZone=UTC",
        connect_timeout=_CONNECT_EACH_S if _names_several(url) else _CONNECT_S,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
    )


async def connect(url: str, application_name: str, limits: Limits | None = None) -> Connection:
    """Return one connection in autocommit; raises psycopg.OperationalError where none
    can be had.
    """
    conn = await Connection.connect(conninfo(url, application_name, limits), autocommit=True)
    conn.answer_s = answer_s(limits)
    return conn


def pool(
    url: str,
    application_name: str,
    *,
    min_size: int = 1,
    max_size: int,
    limits: Limits | None = None,
    wait_s: float = 5,
) -> Pool:
    """Return a pool that is not open yet: `async with pool(...) as connections`."""

    async def configure(conn: Connection) -> None:
        conn.answer_s = answer_s(limits)

    return Pool(
        conninfo(url, application_name, limits),
        connection_class=Connection,
        # Prepared at first sight: a statement that is prepared can only be one, whatever was
        # smuggled into it (docs/decisions/0032-tenants-by-call.md).
        kwargs={"autocommit": True, "prepare_threshold": 0},
        min_size=min_size,
        max_size=max_size,
        timeout=wait_s,
        reconnect_timeout=RECONNECT_S,
        reconnect_failed=_begin_again,
        configure=configure,
        open=False,
    )


def answer_s(limits: Limits | None) -> float:
    """Return how long to wait for an answer: longer than a server that works waits itself."""
    return (limits or Limits()).statement_s + _ANSWER_S


async def _begin_again(connections: AsyncConnectionPool[Connection]) -> None:
    """Let the pool connect again at once, with short pauses again: it doubles them without a bound
    until it gives up.
    """
    await connections.check()


async def _check(conn: Connection) -> None:
    """Raise psycopg.OperationalError where the server has ended the connection.

    The kernel knows: from a connection that waits nothing comes but its end, or, rarely, a notice.
    So the server is asked only where something came, and not each time for a round trip.
    """
    waiting = select.poll()
    waiting.register(conn.fileno(), select.POLLIN)
    if waiting.poll(0):
        await AsyncConnectionPool.check_connection(conn)
