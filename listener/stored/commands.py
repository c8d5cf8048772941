"""Commands to the devices that are connected here: taken in batches, sent once marked as sent, and
what devices say to them (`listener.stored.writes`).

The API wakes the listener up (`Channel.COMMANDS`), so that without commands nothing is asked but
twice a minute. Which trackers have a command to send is known, so that a device that connects costs
no query.
"""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from db.core.connect import Connection
from db.listener import commands
from db.listener.commands import MOST_TAKEN, CommandAnswer, TakenCommand
from listener.stored.writes import Notes

LOOK_S = 30.0
"""Between two looks where no wake-up came: after a lost one, or for a command that is repeated."""
MOST_ANSWER_CHARACTERS = 2_048
ASKED_S = 2.0
"""How long an app that may be given a command waits for it."""


class Taker(Protocol):
    """A connection that takes commands. answers_commands: whether its protocol has answers."""

    @property
    def answers_commands(self) -> bool: ...

    def send_command(self, command: TakenCommand) -> None:
        """Send a command that is marked as sent."""
        ...


@dataclass(slots=True)
class _Asking:
    """An app that asks for a command, in the answer to its request."""

    command: asyncio.Future[TakenCommand]
    answers_commands: bool = False

    def send_command(self, command: TakenCommand) -> None:
        if not self.command.done():
            self.command.set_result(command)


_Key = tuple[UUID, UUID]
_log = structlog.get_logger("listener")


@dataclass(slots=True)
class Commands:
    """The connections that take commands, the newest of each tracker last."""

    _takers: dict[UUID, list[tuple[UUID, Taker]]] = field(default_factory=dict)
    _waiting: set[UUID] = field(default_factory=set)
    _answers: Notes[_Key, CommandAnswer] = field(default_factory=Notes)
    _session: Connection | None = None
    _look_at_s: float = float("-inf")
    is_stopped: bool = False

    def opened(self, org_id: UUID, tracker_id: UUID, taker: Taker) -> None:
        """Note a connection that takes commands from now on."""
        self._takers.setdefault(tracker_id, []).append((org_id, taker))

    def closed(self, tracker_id: UUID, taker: Taker) -> None:
        """Forget a connection."""
        others = [one for one in self._takers.get(tracker_id, ()) if one[1] is not taker]
        if others:
            self._takers[tracker_id] = others
        else:
            self._takers.pop(tracker_id, None)

    def is_waited_for(self, tracker_id: UUID) -> bool:
        """Return whether a command waits for the tracker."""
        return tracker_id in self._waiting

    async def ask(self, org_id: UUID, tracker_id: UUID) -> TakenCommand | None:
        """Return the command that waits for an app which gets it in an answer, if there is one."""
        asking = _Asking(asyncio.get_running_loop().create_future())
        self.opened(org_id, tracker_id, asking)
        try:
            async with asyncio.timeout(ASKED_S):
                return await asking.command
        except TimeoutError:
            return None
        finally:
            self.closed(tracker_id, asking)

    def answered(self, command: TakenCommand, text: str) -> None:
        """Note what a device said to a command."""
        said = CommandAnswer(text[:MOST_ANSWER_CHARACTERS], datetime.now(UTC))
        self._answers.note((command.org_id, command.id), said)

    async def write(self, conn: Connection) -> None:
        """Write the answers, and send what waits for devices that are here."""
        await self._hear(conn)
        if self._answers:
            await self._answers.write(partial(commands.answer, conn))
            self._look_at_s = float("-inf")  # the next one may follow
        if time.monotonic() >= self._look_at_s:
            self._waiting = await commands.waiting(conn)
            self._look_at_s = time.monotonic() + LOOK_S
        here = list(self._waiting & self._takers.keys())[:MOST_TAKEN]
        if here and not self.is_stopped:
            await self._send(conn, here)

    async def _hear(self, conn: Connection) -> None:
        """Look at once where a wake-up came, or may have been missed: the session is a new one."""
        is_new, self._session = conn is not self._session, conn
        if is_new:
            await commands.listen(conn)
        if await commands.has_heard(conn) or is_new:
            self._look_at_s = float("-inf")

    async def _send(self, conn: Connection, tracker_ids: list[UUID]) -> None:
        """Take the next command of each tracker, and send it. The rest waits for the next look: for
        the answer, or at once where there is none.
        """
        takers = {tracker_id: self._takers[tracker_id][-1] for tracker_id in tracker_ids}
        ready = {
            (org_id, tracker_id): taker.answers_commands
            for tracker_id, (org_id, taker) in takers.items()
        }
        for command in await commands.take(conn, ready):
            taker = takers[command.tracker_id][1]
            try:
                taker.send_command(command)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001
                _log.error("a command was not sent", command=str(command.id), exc_info=error)
            if not taker.answers_commands:
                self._look_at_s = float("-inf")
        self._waiting -= takers.keys()
