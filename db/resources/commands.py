"""Commands to devices, as people make, read and cancel them.

The listener sends them (`db.listener.commands`).
"""

from datetime import datetime, timedelta
from typing import Literal, LiteralString, NamedTuple, TypeAlias
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.core.wakeups import Channel
from db.listener.commands import IS_QUEUED, STATE

CommandState: TypeAlias = Literal[
    "queued", "sent", "answered", "unanswered", "expired", "cancelled"
]

MOST_OF_TRACKER = 20
"""Commands of a tracker that are queued."""
MOST_QUEUED = 1_000
"""Commands of an organization that are queued."""
MOST_KEPT = 10_000
"""Commands of an organization. The oldest of those that are not queued go."""
_LOCK = 0x0707_C03D  # any number that is ours alone
_COUNT_QUEUED: LiteralString = f"""
SELECT count(*) FILTER (WHERE tracker_id = %s), count(*) FROM commands WHERE {IS_QUEUED}
"""  # noqa: S608  # a constant
_REMOVE_OLDEST: LiteralString = f"""
DELETE FROM commands WHERE NOT ({IS_QUEUED})
   AND id <= (SELECT id FROM commands ORDER BY id DESC LIMIT 1 OFFSET %s)
"""  # noqa: S608  # a constant


class TooManyCommands(Exception):
    """As many commands are queued as may. most: of whose: "tracker" or "organization"."""

    def __init__(self, most: int, whose: str) -> None:
        super().__init__(f"{most} commands of the {whose} are queued")
        self.most, self.whose = most, whose


class Command(NamedTuple):
    """One row, with its state now."""

    id: UUID
    tracker_id: UUID
    text: str
    state: CommandState
    repeatable: bool
    sends: int
    answer: str | None
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    cancelled_at: datetime | None


class NewCommand(NamedTuple):
    """What a command is made of."""

    tracker_id: UUID
    text: str
    repeatable: bool
    lasts: timedelta
    created_by: UUID


def _in_state(conditions: Conditions, state: str) -> None:
    conditions.add(f"({STATE}) = %(state)s", state=state)


table = Table("commands", Command, computed={"state": STATE}, filters={"state": _in_state})


async def insert(conn: Connection, new: NewCommand) -> Command:
    """Insert a command and wake the listeners up. Raises TooManyCommands."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(%s, hashtext(current_org_id()::text))", (_LOCK,)
    )
    await _check_room(conn, new.tracker_id)
    await conn.execute(_REMOVE_OLDEST, (MOST_KEPT - 1,))
    command_id = new_id()
    await conn.execute(
        """
        INSERT INTO commands (org_id, id, tracker_id, text, repeatable, created_by, created_at,
                              expires_at)
        VALUES (current_org_id(), %s, %s, %s, %s, %s, now(), now() + %s)
        """,
        (command_id, new.tracker_id, new.text, new.repeatable, new.created_by, new.lasts),
    )
    conn.note(Channel.COMMANDS)
    return await table.get(conn, command_id)


async def _check_room(conn: Connection, tracker_id: UUID) -> None:
    of_tracker, of_organization = await fetch_one(await conn.execute(_COUNT_QUEUED, (tracker_id,)))
    if of_tracker >= MOST_OF_TRACKER:
        raise TooManyCommands(MOST_OF_TRACKER, "tracker")
    if of_organization >= MOST_QUEUED:
        raise TooManyCommands(MOST_QUEUED, "organization")


async def cancel(conn: Connection, command_id: UUID) -> None:
    """Cancel a command that is locked and queued."""
    await conn.execute("UPDATE commands SET cancelled_at = now() WHERE id = %s", (command_id,))
