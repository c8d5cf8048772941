"""Commands to devices, as the listener takes and answers them, for all organizations.

A command is marked as sent by the one listener that will send it, in a transaction of its own,
before the device gets a byte. So a kill in between loses a command, and none is sent twice but
those that may be repeated. One of a tracker is out at a time, the oldest first.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.wakeups import Channel

MOST_TAKEN = 100
"""Commands that are taken at a time."""
# A minute is waited for an answer. Then a repeatable command is sent again, five times in all.
_OPEN: LiteralString = (
    "commands.answered_at IS NULL AND commands.cancelled_at IS NULL AND commands.expires_at > now()"
)
IS_QUEUED: LiteralString = f"""
{_OPEN} AND (commands.sent_at IS NULL OR (
    commands.repeatable AND commands.sends < 5 AND commands.answer_until <= now()))
"""
STATE: LiteralString = f"""
CASE WHEN commands.cancelled_at IS NOT NULL THEN 'cancelled'
     WHEN commands.answered_at IS NOT NULL THEN 'answered'
     WHEN {IS_QUEUED} THEN 'queued'
     WHEN commands.sent_at IS NULL THEN 'expired'
     WHEN commands.answer_until <= now() THEN 'unanswered'
     ELSE 'sent' END
"""
_NONE_IS_OUT: LiteralString = """
NOT EXISTS (SELECT FROM commands AS other
             WHERE other.org_id = commands.org_id AND other.tracker_id = commands.tracker_id
               AND other.answered_at IS NULL AND other.answer_until > now())
"""
_WAITING: LiteralString = f"""
SELECT DISTINCT tracker_id FROM commands WHERE {IS_QUEUED} AND {_NONE_IS_OUT} LIMIT 100000
"""  # noqa: S608  # a constant
# Whoever waits for the row of another listener sees it sent, and leaves it.
_TAKE: LiteralString = f"""
UPDATE commands
   SET sends = sends + 1, sent_at = clock_timestamp(),
       answer_until = CASE WHEN first.is_answered
                           THEN clock_timestamp() + interval '1 minute' END
  FROM (SELECT DISTINCT ON (commands.tracker_id) commands.org_id, commands.id, ready.is_answered
          FROM unnest(%s::uuid[], %s::uuid[], %s::boolean[])
               AS ready (org_id, tracker_id, is_answered)
          JOIN commands ON commands.org_id = ready.org_id AND commands.tracker_id = ready.tracker_id
         WHERE {IS_QUEUED} AND {_NONE_IS_OUT}
         ORDER BY commands.tracker_id, commands.created_at, commands.id) AS first
 WHERE commands.org_id = first.org_id AND commands.id = first.id AND {IS_QUEUED}
RETURNING commands.org_id, commands.id, commands.tracker_id, commands.text
"""  # noqa: S608  # a constant
_LISTEN = sql.SQL("LISTEN {}").format(sql.Identifier(Channel.COMMANDS))
_ANSWER: LiteralString = """
UPDATE commands SET answer = said.answer, answered_at = said.at
  FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[])
       AS said (org_id, id, answer, at)
 WHERE commands.org_id = said.org_id AND commands.id = said.id
   AND commands.answered_at IS NULL AND commands.cancelled_at IS NULL
"""


class TakenCommand(NamedTuple):
    """A command that is marked as sent: whoever holds it sends it, once."""

    org_id: UUID
    id: UUID
    tracker_id: UUID
    text: str


class CommandAnswer(NamedTuple):
    """What a device said to a command."""

    text: str
    at: datetime


async def listen(conn: Connection) -> None:
    """Let the session hear that commands were queued."""
    await conn.execute(_LISTEN)


async def has_heard(conn: Connection) -> bool:
    """Return whether the session has heard so since the last time. The server is not asked."""
    async with aclosing(conn.notifies(timeout=0)) as heard:
        return bool([each async for each in heard])


async def waiting(conn: Connection) -> set[UUID]:
    """Return the trackers that have a command to send, of all organizations."""
    return {tracker_id for (tracker_id,) in await (await conn.execute(_WAITING)).fetchall()}


async def take(conn: Connection, ready: Mapping[tuple[UUID, UUID], bool]) -> Sequence[TakenCommand]:
    """Mark the next command of each tracker as sent, and return them. ready: by organization and
    tracker, whether the device answers commands. Send nothing before this is committed.
    """
    org_ids, tracker_ids = [org_id for org_id, _ in ready], [of for _, of in ready]
    async with conn.cursor(row_factory=args_row(TakenCommand)) as cursor:
        await cursor.execute(_TAKE, (org_ids, tracker_ids, list(ready.values())))
        return await cursor.fetchall()


async def answer(conn: Connection, answers: Mapping[tuple[UUID, UUID], CommandAnswer]) -> None:
    """Write what devices said, by organization and command."""
    org_ids, ids = [org_id for org_id, _ in answers], [each for _, each in answers]
    texts, times = [said.text for said in answers.values()], [said.at for said in answers.values()]
    await conn.execute(_ANSWER, (org_ids, ids, texts, times))
