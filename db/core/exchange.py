"""Questions that go out together: one wait for the answers to many statements.

    exchange = Exchange(conn)
    names = exchange.ask("SELECT name FROM sites", None, lambda rows: [name for (name,) in rows])
    exchange.tell("UPDATE sites SET ...", values)
    await exchange.send()
    names.value

The statements run in the order in which they were given. What goes out does not end a transaction,
and where none is open, it is one. To compose a statement takes longer than to send it: those that
are asked often are composed once, as bytes.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

from psycopg.abc import Params, QueryNoTemplate

from db.core.connect import Connection
from db.core.pipeline_cursor import Asked
from db.core.wakeups import Channel

T = TypeVar("T")

Rows = list[tuple[Any, ...]]
_NOT_SENT = object()


class Reply(Generic[T]):
    """The reply to a question. `value` is there once the question was sent."""

    def __init__(self, read: Callable[[Rows], T]) -> None:
        self._read = read
        self._value: Any = _NOT_SENT

    @property
    def value(self) -> T:
        assert self._value is not _NOT_SENT, "the question was not sent"
        return self._value

    def take(self, rows: Rows) -> None:
        """Read the rows that the question gave."""
        self._value = self._read(rows)


class Exchange:
    """Statements that wait to be sent, on one connection. It can be used again after `send`."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._asked: list[tuple[Asked, Reply[Any]]] = []

    def ask(
        self, query: QueryNoTemplate, values: Params | None, read: Callable[[Rows], T]
    ) -> Reply[T]:
        """Add a question. read: makes the value of its rows."""
        reply = Reply(read)
        self._asked.append(((query, values), reply))
        return reply

    def tell(self, query: QueryNoTemplate, values: Params | None) -> None:
        """Add a statement whose rows nobody needs."""
        self.ask(query, values, len)

    def note(self, channel: Channel) -> None:
        """Note a wake-up, for after COMMIT."""
        self._conn.note(channel)

    async def send(self) -> None:
        """Send what waits, and read the answers. Raises psycopg.Error."""
        asked, self._asked = self._asked, []
        if not asked:
            return
        answers = await self._conn.answers([statement for statement, _ in asked])
        for (_, reply), rows in zip(asked, answers, strict=True):
            reply.take(rows)


def known(value: T) -> Reply[T]:
    """Return the answer to a question that need not be asked."""
    reply = Reply[T](lambda _: value)
    reply.take([])
    return reply


def uuid_array(ids: Collection[UUID]) -> str:
    """Return ids as a value for `%s::uuid[]`: psycopg takes ten times as long for a list."""
    return f"{{{','.join(map(str, ids))}}}"


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return rows by column, as arrays of a statement. There must be one row at least."""
    return [list(column) for column in zip(*rows, strict=True)]
