"""Notes for the database: taken down at once, written in batches by one task.

Of each key the newest note is kept alone, so a database that is away costs memory for each key and
not for each note. A batch that could not be written is written later, unless newer notes say
otherwise. A note that fails in a way that nobody foresaw, while others of its batch are written, is
logged and left out, so that it keeps no other from being written.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from db.core.connect import Connection, Limits, connect
from db.core.errors import RECONNECT_S, InternalError, OperationalError
from service.exceptions import message

OUTAGES = (OperationalError, InternalError, MemoryError)
"""Errors that no note is the cause of."""

MOST_NOTES = 200_000
BATCH_NOTES = 5_000

_PAUSE_S = 0.5
_LIMITS = Limits(statement_s=10, transaction_s=20)

_log = structlog.get_logger("listener")
Key = TypeVar("Key")
Note = TypeVar("Note")
Writer = Callable[[Connection], Awaitable[None]]


class Notes(Generic[Key, Note]):
    """The newest note of each key. Beyond `MOST_NOTES` keys the oldest notes are lost."""

    def __init__(self) -> None:
        self._notes: dict[Key, Note] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def note(self, key: Key, note: Note) -> None:
        self._notes.pop(key, None)
        self._notes[key] = note
        if len(self._notes) > MOST_NOTES:
            del self._notes[next(iter(self._notes))]

    def get(self, key: Key) -> Note | None:
        return self._notes.get(key)

    def oldest(self) -> dict[Key, Note]:
        """Return the next batch; `written` then removes it."""
        keys = [key for key, _ in zip(self._notes, range(BATCH_NOTES), strict=False)]
        return {key: self._notes[key] for key in keys}

    async def write(self, store: Callable[[dict[Key, Note]], Awaitable[object]]) -> None:
        """Write the next batch, and where that fails, each of its notes alone. Raises what is an
        outage, and what all of them fail with: then no note is the cause, and all are kept.
        """
        batch = self.oldest()
        if not batch:
            return
        try:
            await store(batch)
        except OUTAGES:
            raise
        except Exception as error:
            faults = await _faults_of(batch, store)
            if len(faults) == len(batch):
                raise
            for key, fault in faults.items():
                shown = str(key)[:200]
                _log.error("a note that cannot be written is left out", note=shown, exc_info=fault)
            _log.warning("notes were written one by one", notes=len(batch), error=message(error))
        self.written(batch)

    def written(self, batch: dict[Key, Note]) -> None:
        """Forget what was written, but not what was noted since."""
        for key, note in batch.items():
            if self._notes.get(key) is note:
                del self._notes[key]


async def _faults_of(
    batch: dict[Key, Note], store: Callable[[dict[Key, Note]], Awaitable[object]]
) -> dict[Key, Exception]:
    """Write notes one by one; return the faults of those that cannot be written."""
    faults: dict[Key, Exception] = {}
    for key, note in batch.items():
        try:
            await store({key: note})
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001
            faults[key] = error
    return faults


async def keep_written(
    database_url: str, writers: Sequence[Writer], stopping: asyncio.Event
) -> None:
    """Let each writer write twice a second until `stopping` is set, and once more then.

    Failures are logged, and tried again, but for the last. A writer that fails in a way that nobody
    foresaw keeps no other from writing.
    """
    trouble = ""
    faults: dict[int, str] = {}
    while True:
        is_last = stopping.is_set()
        try:
            async with await connect(database_url, "opsc-listen-notes", _LIMITS) as conn:
                while True:
                    is_last = stopping.is_set()
                    for number, write in enumerate(writers):
                        await _guarded(write, conn, faults, number)
                    trouble = ""
                    if is_last:
                        return
                    await _pause(stopping, _PAUSE_S)
        except (OperationalError, InternalError) as error:
            if trouble != (trouble := message(error)):
                _log.warning("connections and sessions not written, retrying", error=trouble)
            if is_last:
                return
            await _pause(stopping, RECONNECT_S)


async def _guarded(write: Writer, conn: Connection, faults: dict[int, str], number: int) -> None:
    """Let a writer write. faults: the last one of each writer, which is logged once."""
    try:
        await write(conn)
    except OUTAGES:
        raise
    except Exception as error:  # noqa: BLE001
        fault = f"{type(error).__name__}: {message(error)}"
        if faults.get(number) != fault:
            faults[number] = fault
            _log.error("notes not written", exc_info=error)
    else:
        faults.pop(number, None)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
