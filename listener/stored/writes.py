"""Notes for the database: taken down at once, written in batches by one task.

Of each key the newest note is kept alone, so a database that is away costs memory for each key and
not for each note. A batch that could not be written is written later, unless newer notes say
otherwise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from db.core.connect import Connection, Limits, connect
from db.core.errors import RECONNECT_S, DatabaseError
from service.exceptions import message

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

    def written(self, batch: dict[Key, Note]) -> None:
        """Forget what was written, but not what was noted since."""
        for key, note in batch.items():
            if self._notes.get(key) is note:
                del self._notes[key]


async def keep_written(
    database_url: str, writers: Sequence[Writer], stopping: asyncio.Event
) -> None:
    """Let each writer write twice a second until `stopping` is set, and once more then.

    Failures are logged, and tried again, but for the last.
    """
    trouble = ""
    while True:
        is_last = stopping.is_set()
        try:
            async with await connect(database_url, "opsc-listen-notes", _LIMITS) as conn:
                while True:
                    is_last = stopping.is_set()
                    for write in writers:
                        await write(conn)
                    trouble = ""
                    if is_last:
                        return
                    await _pause(stopping, _PAUSE_S)
        except DatabaseError as error:
            if trouble != (trouble := message(error)):
                _log.warning("connections and sessions not written, retrying", error=trouble)
            if is_last:
                return
            await _pause(stopping, RECONNECT_S)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass
