"""Pipelined statements on the connections of a pool: they go out together, and are answered
together.

psycopg's pipeline takes eight steps for a tenant and one statement of theirs, with a wait each;
here it is one, for half the processor time (docs/benchmarks.md). It is made of what psycopg has
below its cursors: its libpq (`psycopg.pq`), its generators, its adaptation, and
`AsyncConnection.wait`, which also has the server give up a statement that nobody waits for any
longer.

Statements are prepared when a connection meets them first, and stay so while they are among those
that it was asked last. On a connection of a pool psycopg itself prepares none
(`prepare_threshold=None`). On another one it does, and drops ours with its own after a rollback: we
prepare them again.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple, Self, TypeAlias
from uuid import UUID

import psycopg
from psycopg import AsyncCursor, AsyncTransaction, errors, generators
from psycopg.abc import Buffer, Params, PQGen, Query, QueryNoTemplate
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import Row
from psycopg.sql import Composable
from psycopg.waiting import Wait

from db.core.wakeups import Channel, WakeUp

MOST_PREPARED = 100  # of a connection
_ROWS_AT_ONCE = 16  # of a page, whose bytes are counted before more are read
_LARGE_BYTES = 64 * 1024  # to load so much takes a millisecond or two
_CANCEL_TIMEOUT_S = 5
# bool, bigint, smallint, integer, real, double precision, date, times and uuid: a few bytes each.
_SHORT_OIDS = frozenset({16, 20, 21, 23, 700, 701, 1082, 1083, 1114, 1184, 2950})
_SHORT_BYTES = 16

_READS_FOR = b"CALL read_for($1)"
_UUID_OID = 2950
_SAVEPOINT: tuple[LiteralString, None] = ("SAVEPOINT part", None)
_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
_PLACE = re.compile(r"%(?:%|([sb])|\((\w+)\)([sb]))")
Asked: TypeAlias = tuple[QueryNoTemplate, Params | None]
Take: TypeAlias = Callable[[list[tuple[Any, ...]]], None]
_Key: TypeAlias = tuple[bytes, tuple[int, ...]]


class _Statement(NamedTuple):
    """A statement in the form that libpq takes. types: oids of the values."""

    text: bytes
    values: Sequence[Buffer | None]
    types: tuple[int, ...]
    formats: Sequence[Format] | None

    @property
    def key(self) -> _Key:
        return self.text, self.types


class _Sent(NamedTuple):
    """A message that will be answered. prepared: of a statement that is prepared. is_asked: it asks
    a statement, so its answer has the rows.
    """

    prepared: tuple[_Key, bytes] | None = None
    is_asked: bool = False


class Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection of psycopg; on one of a pool, `execute` is one exchange, and so is
    `together`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.exchanges = _Exchanges(self)
        self._wake_ups: set[WakeUp] = set()
        self.queued: list[Asked] = []  # what `later` was given and has not gone out
        self._takers: list[tuple[Asked, Take]] = []  # who takes the rows of some of it

    def note(self, channel: Channel, org_id: UUID | None = None) -> None:
        """Note a wake-up, for whoever commits to send (`db.core.wakeups`)."""
        self._wake_ups.add(WakeUp(channel, org_id))

    def take_wake_ups(self) -> set[WakeUp]:
        """Return what was noted, and forget it."""
        taken, self._wake_ups = self._wake_ups, set()
        return taken

    def later(self, *asked: Asked) -> None:
        """Queue statements whose rows nobody needs, on a connection of a pool. They go out ahead of
        the next statement, in its exchange; what is wrong with them is raised there.
        """
        assert self.prepare_threshold is None, "only a connection of a pool has a queue"
        self.queued += asked

    def later_taken(self, asked: Asked, take: Take) -> None:
        """Queue a statement as `later` does. take: is given its rows when it has gone out."""
        self.later(asked)
        self._takers.append((asked, take))

    def take_queued(self) -> list[Asked]:
        """Return what is queued, and forget it."""
        taken, self.queued = self.queued, []
        return taken

    def forget_queued(self) -> None:
        """Forget what is queued, and who would take its rows."""
        self.queued.clear()
        self._takers.clear()

    def taker_of(self, asked: Asked) -> Take | None:
        """Return who takes the rows of a statement that was queued, and forget them."""
        for place, (queued, take) in enumerate(self._takers):
            if queued is asked:
                del self._takers[place]
                return take
        return None

    async def send_queued(self) -> None:
        """Send what is queued. Raises psycopg.Error."""
        if queued := self.take_queued():
            await self.together(*queued)

    def read_for(self, org_id: UUID | None) -> None:
        """Let each single statement from now on read what `org_id` has. None: no longer."""
        self.exchanges.read_for(org_id)

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        begun: AsyncTransaction | None = None
        await self.send_queued()
        try:
            async with super().transaction(savepoint_name, force_rollback) as begun:
                yield begun
                await self.send_queued()
        finally:
            self.forget_queued()
            is_committed = begun is not None and begun.status == AsyncTransaction.Status.COMMITTED
            if self.prepare_threshold is not None and not is_committed:
                self.exchanges.forget_prepared()

    @asynccontextmanager
    async def part(self) -> AsyncIterator[None]:
        """Undo what the block does where it raises, inside a transaction on a connection of a pool.
        The savepoint goes out with the block's first statement; what the block queued, at its end.
        """
        self.later(_SAVEPOINT)
        try:
            yield
            await self.send_queued()
        except BaseException:
            queued = self.take_queued()
            if _SAVEPOINT in queued:  # nothing of the block went out
                self.queued = queued[: queued.index(_SAVEPOINT)]
            elif self.pgconn.transaction_status in _IN_TRANSACTION:
                await self.execute("ROLLBACK TO SAVEPOINT part")
            raise

    async def answers(self, asked: Sequence[Asked]) -> list[list[tuple[Any, ...]]]:
        """Execute statements in their order, in one exchange; the rows of each."""
        cursor = self.cursor()
        if not isinstance(cursor, ExchangeCursor):
            cursor = ExchangeCursor(self)
        return await cursor.execute_all(asked)

    async def together(self, *asked: Asked) -> AsyncCursor[tuple[Any, ...]]:
        """Execute statements in their order; the answer to the last. In no transaction they are
        one, where the connection is of a pool.
        """
        cursor = self.cursor()
        if isinstance(cursor, ExchangeCursor):
            await cursor.execute_all(asked)
        else:
            for query, values in asked:
                await cursor.execute(query, values)
        return cursor


class ExchangeCursor(AsyncCursor[Row]):
    """Has all rows when it has executed. There is no other way of asking than `execute`."""

    _rows: Iterator[Row] = iter(())
    _affected = -1

    async def execute(
        self,
        query: Query,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool | None = None,
    ) -> Self:
        assert isinstance(query, str | bytes | Composable)  # no template strings
        await self.execute_all([(query, params)], prepare=prepare is not False)
        return self

    async def execute_all(self, asked: Sequence[Asked], *, prepare: bool = True) -> list[list[Row]]:
        """Execute statements in one exchange; the rows of each. The cursor has those of the
        last.
        """
        conn = self.connection
        assert isinstance(conn, Connection)
        async with conn.lock:
            transformer = conn.exchanges.transformer
            sent = [*conn.queued, *asked]
            composed = conn.exchanges.composed(sent)  # before what is queued counts as sent
            queued = conn.take_queued()
            results = await conn.wait(conn.exchanges.exchange(composed, prepare=prepare))
            rows: list[list[Row]] = []
            for statement, result in zip(sent, results, strict=True):
                if take := conn.taker_of(statement):
                    transformer.set_pgresult(result)
                    take(transformer.load_rows(0, result.ntuples, tuple))
            for result in results[len(queued) :]:
                transformer.set_pgresult(result)
                rows.append(transformer.load_rows(0, result.ntuples, self.row_factory(self)))
        self._rows, self._affected = iter(rows[-1]), results[-1].command_tuples or 0
        return rows

    async def execute_page(self, query: Query, params: Params, most_bytes: int) -> bool:
        """Execute a statement, and read its rows as long as their bytes stay within `most_bytes`:
        one row at least. Return whether there were more; the server then gives the statement up.

        Only where each statement is a transaction of its own (`Connection.read_for`).
        """
        assert isinstance(query, str | bytes | Composable)
        conn = self.connection
        assert isinstance(conn, Connection)
        assert conn.exchanges.ahead, "the end of a page would end the transaction"
        kept: list[tuple[PGresult, int]] = []  # with the number of rows that fit
        bytes_left = most_bytes
        giving_up: asyncio.Task[None] | None = None

        def keep(result: PGresult) -> bool:
            nonlocal bytes_left, giving_up
            fitting = 0
            for row_bytes in _sizes(result):
                bytes_left -= row_bytes
                if bytes_left < 0 and (kept or fitting):
                    giving_up = asyncio.create_task(_give_up(conn))
                    break
                fitting += 1
            kept.append((result, fitting))
            return giving_up is None

        async with conn.lock:
            try:
                await conn.wait(conn.exchanges.exchange_page((query, params), keep))
            finally:
                if giving_up is not None:  # it must not meet the next statement
                    await giving_up
            rows = await self._loaded(conn, kept, is_large=bytes_left < most_bytes - _LARGE_BYTES)
        self._rows, self._affected = iter(rows), len(rows)
        return giving_up is not None

    async def _loaded(
        self, conn: Connection, kept: Sequence[tuple[PGresult, int]], *, is_large: bool
    ) -> list[Row]:
        """Return the rows of results. is_large: others have a turn in between."""
        transformer, maker = conn.exchanges.transformer, self.row_factory(self)
        rows: list[Row] = []
        for result, fitting in kept:
            transformer.set_pgresult(result)
            rows += transformer.load_rows(0, fitting, maker)
            if is_large:
                await asyncio.sleep(0)
        return rows

    async def fetchone(self) -> Row | None:
        return next(self._rows, None)

    async def fetchall(self) -> list[Row]:
        return list(self._rows)

    @property
    def rowcount(self) -> int:
        return self._affected


class _Exchanges:
    """The exchanges of one connection."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self.transformer = Transformer(conn)
        self._conn = conn
        self.ahead: list[_Statement] = []  # what goes out before all else
        self._prepared: OrderedDict[_Key, bytes] = OrderedDict()
        self._dropped: list[bytes] = []  # names that the server may still have
        self._names = 0

    def read_for(self, org_id: UUID | None) -> None:
        self.ahead.clear()
        if org_id is not None:
            values = [str(org_id).encode()]
            self.ahead.append(_Statement(_READS_FOR, values, (_UUID_OID,), None))

    def forget_prepared(self) -> None:
        """Prepare every statement again when it is asked: psycopg may have dropped them."""
        self._dropped += self._prepared.values()
        self._prepared.clear()

    def composed(self, asked: Sequence[Asked]) -> list[_Statement]:
        """Return statements as they are sent. Raises psycopg.Error for a value that cannot be."""
        return [self._statement(query, values) for query, values in asked]

    def exchange(self, composed: Sequence[_Statement], *, prepare: bool) -> PQGen[list[PGresult]]:
        """Return the answer to each statement. Raises psycopg.Error."""
        statements = [*self.ahead, *composed]
        pgconn = self._conn.pgconn
        pgconn.enter_pipeline_mode()
        try:
            sent = self._send(statements) if prepare else self._send_unprepared(statements)
            pgconn.pipeline_sync()
            answers = yield from generators.execute(pgconn)
            for _ in sent:
                answers += yield from generators.fetch_many(pgconn)
        finally:
            if pgconn.status == ConnStatus.OK:
                pgconn.exit_pipeline_mode()
        self._note_answers(sent, answers)  # but for the last, which answers the sync
        results = [one for each, one in zip(sent, answers, strict=False) if each.is_asked]
        return results[len(self.ahead) :]

    def exchange_page(self, asked: Asked, keep: Callable[[PGresult], bool]) -> PQGen[None]:
        """Send a statement, and give its rows to `keep`, a few at once, until that returns False;
        the rest is thrown away. Raises psycopg.Error, but not for a rest that was cancelled.
        """
        pgconn = self._conn.pgconn
        pgconn.enter_pipeline_mode()
        try:
            sent = self._send([*self.ahead, self._statement(*asked)])
            pgconn.pipeline_sync()
            yield from generators.send(pgconn)
            answers: list[PGresult] = []
            for _ in sent[:-1]:
                answers += yield from generators.fetch_many(pgconn)
            if all(answer.status != ExecStatus.FATAL_ERROR for answer in answers):
                pgconn.set_chunked_rows_mode(_ROWS_AT_ONCE)
            is_wanted = True
            while (result := (yield from generators.fetch(pgconn))) is not None:
                if result.status == ExecStatus.TUPLES_CHUNK or (
                    result.status == ExecStatus.TUPLES_OK and result.ntuples
                ):
                    is_wanted = is_wanted and keep(result)
                    yield Wait.RW  # others have a turn, too
                elif is_wanted or result.status != ExecStatus.FATAL_ERROR:
                    answers.append(result)
            yield from generators.fetch_many(pgconn)  # the sync
        finally:
            if pgconn.status == ConnStatus.OK:
                pgconn.exit_pipeline_mode()
        self._note_answers(sent, answers)

    def _note_answers(self, sent: Sequence[_Sent], answers: Sequence[PGresult]) -> None:
        """Remember what is prepared now. Raises psycopg.Error."""
        for each, answer in zip(sent, answers, strict=False):
            if answer.status == ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(answer)
            if each.prepared is not None:
                key, name = each.prepared
                self._prepared[key] = name

    def _statement(self, query: QueryNoTemplate, values: Params | None) -> _Statement:
        text = query.as_bytes(self._conn) if isinstance(query, Composable) else query
        if values is None:
            return _Statement(text.encode() if isinstance(text, str) else text, (), (), None)
        numbered, names, wanted = _numbered(text)
        given = [values[name] for name in names] if isinstance(values, Mapping) else values
        dumped = self.transformer.dump_sequence(given, wanted)
        return _Statement(numbered, dumped, self.transformer.types or (), self.transformer.formats)

    def _send_unprepared(self, statements: Sequence[_Statement]) -> list[_Sent]:
        """Queue statements, to be planned for their values and forgotten."""
        for each in statements:
            self._conn.pgconn.send_query_params(each.text, each.values, each.types, each.formats)
        return [_Sent(is_asked=True)] * len(statements)

    def _send(self, statements: Sequence[_Statement]) -> list[_Sent]:
        """Queue statements, and return one entry for each answer that will come."""
        pgconn, sent = self._conn.pgconn, self._send_closing()
        while len(self._prepared) >= MOST_PREPARED:
            _, oldest = self._prepared.popitem(last=False)
            pgconn.send_close_prepared(oldest)  # not DEALLOCATE: that fails after an error
            sent.append(_Sent())
        new: dict[_Key, bytes] = {}
        for statement in statements:
            name = self._prepared.get(statement.key) or new.get(statement.key)
            if name is None:
                self._names += 1
                name = new[statement.key] = b"opsc_%d" % self._names
                pgconn.send_prepare(name, statement.text, statement.types)
                sent.append(_Sent(prepared=(statement.key, name)))
            elif statement.key in self._prepared:
                self._prepared.move_to_end(statement.key)
            pgconn.send_query_prepared(name, statement.values, statement.formats)
            sent.append(_Sent(is_asked=True))
        return sent

    def _send_closing(self) -> list[_Sent]:
        """Queue that the server drops what we have forgotten; what it has not is no error."""
        for name in self._dropped:
            self._conn.pgconn.send_close_prepared(name)
        sent = [_Sent()] * len(self._dropped)
        self._dropped.clear()
        return sent


def _sizes(result: PGresult) -> Iterator[int]:
    """Yield the bytes of each row as it was sent."""
    columns = range(result.nfields)
    long = [column for column in columns if result.ftype(column) not in _SHORT_OIDS]
    short_bytes = _SHORT_BYTES * (result.nfields - len(long))
    get = result.get_value
    for row in range(result.ntuples):
        yield short_bytes + sum([len(get(row, column) or b"") for column in long])


async def _give_up(conn: psycopg.AsyncConnection[Any]) -> None:
    """Ask the server to give up the statement that runs. If that fails, the rest is read."""
    with suppress(psycopg.Error):
        await conn.cancel_safe(timeout=_CANCEL_TIMEOUT_S)


@lru_cache(maxsize=1024)
def _numbered(text: str | bytes) -> tuple[bytes, tuple[str, ...], tuple[PyFormat, ...]]:
    """Return a statement with `$1` for `%s` and `%(name)s`, and the names and formats by number."""
    formats: dict[str, PyFormat] = {}

    def place(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        name = match[2] or str(len(formats))
        is_binary = "b" in (match[1], match[3])
        formats.setdefault(name, PyFormat.BINARY if is_binary else PyFormat.AUTO)
        return f"${list(formats).index(name) + 1}"

    numbered = _PLACE.sub(place, text if isinstance(text, str) else text.decode())
    return numbered.encode(), tuple(formats), tuple(formats.values())
