"""The moving of old fixes into the archive, and of objects out of it, a bounded piece at a time.

A piece: fixes of an organization's day are read, put into a new object together with those of the
object that the day has, and the new object is read back and compared. Then one transaction names it
and removes the fixes. Until it has committed the fixes are in the database; from then on they are
in the object. So a process may end anywhere in between. A fix that comes for such a day later is
stored in the database as any other, and the next pass moves it.

An object that was replaced goes an hour later: readers that know it may be reading. One that no row
names is an orphan, of a process that ended or of a database that was restored, and goes after 30
days.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog

from archive import writing
from archive.errors import StoreError
from archive.store import Store
from archive.writing import Written
from db.archive import moving
from db.archive.archived_days import ArchivedDay
from db.archive.moving import ChangedMeanwhile, Moved
from db.core.connect import Connection
from db.core.errors import (
    ForeignKeyViolation,
    LockNotAvailable,
    QueryCanceled,
    UniqueViolation,
)
from db.history import retention
from service.background.row_guard import RowGuard, WorkRow

KEPT_FOR_READERS = timedelta(hours=1)
ORPHAN_AFTER = timedelta(days=30)
_FORGOTTEN_AT_ONCE = 100
_REMOVED_AT_ONCE = 100

_NOT_NOW = (
    StoreError,
    ChangedMeanwhile,
    UniqueViolation,
    ForeignKeyViolation,  # the organization was deleted just now
    LockNotAvailable,
    QueryCanceled,
)

_log = structlog.get_logger("archive")


@dataclass(frozen=True, slots=True)
class MoverLimits:
    piece_rows: int = 200_000  # in memory, and removed in one transaction
    least_rows: int = 2_000  # of a piece, where the database does not get through larger ones
    piece_s: float = 600  # to write and read back an object
    rest_s: float = 0.05  # between pieces


class Passed(NamedTuple):
    """The outcome of a pass. failed_days: that could not move. orphans: that are left."""

    fixes: int = 0
    failed_days: int = 0
    objects_removed: int = 0
    orphans: int | None = None


class _Merged(NamedTuple):
    written: Written
    moved: Moved


class _Work(NamedTuple):
    """A piece of a pass: a day of an organization, or with None for it the chunk of a day."""

    org_id: UUID | None
    day: date
    do: Callable[[], Awaitable[int]]


class Mover:
    """after_days: the age of a day that moves. keep_days: of one that goes, for the installation;
    an organization may have fewer.
    """

    def __init__(
        self,
        store: Store,
        guard: RowGuard,
        after_days: int,
        keep_days: int | None = None,
        limits: MoverLimits | None = None,
    ) -> None:
        self._store = store
        self._guard = guard
        self._after, self._keep_days = timedelta(days=after_days), keep_days
        self._limits = limits or MoverLimits()
        self.waiting_days = 0
        """Days that the pass which runs has still to look at; after it, those that it left."""

    async def pass_over(
        self, conn: Connection, now: datetime, stop: asyncio.Event, *, seeks_orphans: bool = False
    ) -> Passed | None:
        """Do all that is to be done by now. None where another process is at it."""
        if not await moving.begin(conn):
            return None
        try:
            removed = await self._remove_objects(conn, now)
            await self._forget_old(conn, now)
            fixes, failed = 0, 0
            failed_days: defaultdict[UUID, list[date]] = defaultdict(list)
            async for work in self._days(conn, now):
                if stop.is_set() or await moving.is_waited_for(conn):
                    break
                moved = await self._do(work)
                fixes += moved or 0
                if moved is None:
                    failed += 1
                    if work.org_id is not None:
                        failed_days[work.org_id].append(work.day)
                await asyncio.sleep(self._limits.rest_s)
            else:
                await moving.note_failures(conn, failed_days)
                self.waiting_days = len({day for days in failed_days.values() for day in days})
            orphans = await self._remove_orphans(conn, now) if seeks_orphans else None
            return Passed(fixes, failed, removed, orphans)
        finally:
            await moving.end(conn)

    async def _do(self, work: _Work) -> int | None:
        """Do a piece of a pass; how many fixes moved, or None where it could not be done."""
        key = f"{work.org_id or 'chunk'}/{work.day}"
        done = await self._guard.run(WorkRow("archive", key, work.org_id), partial(_moved, work))
        return None if done is None else done.answer

    async def _days(self, conn: Connection, now: datetime) -> AsyncIterator[_Work]:
        """Yield the work, from the oldest day on: each organization's day, then its chunk."""
        chunks = [(chunk, self._due_days(chunk, now)) for chunk in await retention.chunks(conn)]
        self.waiting_days = sum(len(days) for _, days in chunks)
        for chunk, days in chunks:
            for day in days:
                for org_id in await moving.organizations(conn, day):
                    yield _Work(org_id, day, partial(self.move_day, conn, org_id, day))
                self.waiting_days -= 1
            if chunk.until <= now - self._after:
                renew = partial(_renew, conn, chunk.since, chunk.until)
                yield _Work(None, chunk.since.astimezone(UTC).date(), renew)

    def _due_days(self, chunk: retention.Chunk, now: datetime) -> list[date]:
        """Return the days of a chunk that are old enough."""
        whole_days = (min(chunk.until, now - self._after) - chunk.since) // timedelta(days=1)
        first = chunk.since.astimezone(UTC).date()
        return [first + timedelta(days=number) for number in range(whole_days)]

    async def move_day(self, conn: Connection, org_id: UUID, day: date) -> int:
        """Move the fixes of an organization's day; how many. Raises StoreError, ChangedMeanwhile,
        UniqueViolation, QueryCanceled.
        """
        moved, rows = 0, self._limits.piece_rows
        while True:
            try:
                done = await self._move_piece(conn, org_id, day, rows)
            except QueryCanceled:  # it took longer than a statement may
                if rows <= self._limits.least_rows:
                    raise
                rows = max(rows // 4, self._limits.least_rows)
                continue
            moved += done
            if done < rows:
                return moved
            await asyncio.sleep(self._limits.rest_s)

    async def _move_piece(self, conn: Connection, org_id: UUID, day: date, rows: int) -> int:
        """Move the first fixes that are left of a day, at most `rows`; returns their number."""
        older = await moving.known_object(conn, org_id, day)
        text = await moving.read(conn, org_id, day, rows)
        if not text:
            return 0
        made = ArchivedDay(org_id, day, uuid4(), 0, 0, b"", b"")
        written, done = await self._store.run(
            self._write, made, older, text, timeout_s=self._limits.piece_s
        )
        try:
            async with conn.transaction():
                remove_at = datetime.now(UTC) + KEPT_FOR_READERS
                await moving.switch(conn, *written, done, older, remove_at)
        except (ChangedMeanwhile, UniqueViolation, ForeignKeyViolation, QueryCanceled):
            # Known to have come to nothing: after any other error it may be named.
            await moving.remove_later(conn, [made.path], datetime.now(UTC))
            raise
        return done.rows

    def _write(self, made: ArchivedDay, older: ArchivedDay | None, text: bytearray) -> _Merged:
        """Write an object of what a day has and what moves. Blocks. Raises StoreError, OSError."""
        from archive import objects

        try:
            fresh = objects.read_csv(text)
            before = None if older is None else writing.opened(self._store, older)[0]
            written = writing.write(self._store, made, lambda: objects.merged(before, fresh.table))
        except objects.DamagedObject as error:
            raise StoreError(str(error)) from error
        return _Merged(
            written, Moved(objects.last_key(fresh.table), fresh.table.num_rows, fresh.prints)
        )

    async def _forget_old(self, conn: Connection, now: datetime) -> None:
        """Let days go that are too old for their organization, or for the installation."""
        for org_id, days, _, _ in await retention.organizations(conn):
            kept = [one for one in (days, self._keep_days) if one is not None]
            if not kept:
                continue
            # The day on which the limit lies stays until it is too old as a whole.
            before = (now - timedelta(days=min(kept))).astimezone(UTC).date()
            while old := await moving.older_than(conn, org_id, before, _FORGOTTEN_AT_ONCE):
                async with conn.transaction():
                    for known in old:
                        await moving.forget(conn, known, now + KEPT_FOR_READERS)

    async def _remove_objects(self, conn: Connection, now: datetime) -> int:
        """Remove objects whose time has come. One that the store does not remove is tried again."""
        removed = 0
        while paths := await moving.removals(conn, now, _REMOVED_AT_ONCE):
            for path in paths:
                try:
                    await self._store.run(self._store.remove, path)
                except StoreError as error:
                    _log.warning("an object was not removed", path=path, error=str(error))
                    return removed
                await moving.removed(conn, path)
                removed += 1
        return removed

    async def _remove_orphans(self, conn: Connection, now: datetime) -> int | None:
        """Remove objects that nothing names and that are old; how many others there are. None where
        the store does not say.
        """
        try:
            # Before the names: what is written meanwhile is young.
            found = await self._store.run(self._store.objects, timeout_s=self._limits.piece_s)
        except StoreError as error:
            _log.warning("orphans were not looked for", error=str(error))
            return None
        known = await moving.known_paths(conn)
        orphans = [one for one in found if one.path not in known]
        old = [one.path for one in orphans if now - one.written_at > ORPHAN_AFTER]
        if old:
            await moving.remove_later(conn, old, now)
        # What is being written is none yet.
        left = [one for one in orphans if now - one.written_at > KEPT_FOR_READERS]
        if left:
            _log.warning(
                "objects that nothing names", objects=len(left), first=left[0].path, gone=len(old)
            )
        return len(left) - len(old)


async def _moved(work: _Work) -> int | None:
    """Do a piece of a pass; None where it cannot be done just now."""
    try:
        return await work.do()
    except _NOT_NOW as error:
        _log.warning("a day was not archived", error=str(error) or repr(error))
        return None


async def _renew(conn: Connection, since: datetime, until: datetime) -> int:
    async with conn.transaction():
        await moving.renew_chunk(conn, since, until)
    return 0
