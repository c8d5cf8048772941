"""Messages of all links, which wait for their batch: organizations take turns.

    queue.put(messages)
    messages = await queue.receive(max_messages, max_bytes)

An organization that sends without end fills its own lane, and has no more of a batch than its
turns. They are those of a deficit round robin (Shreedhar and Varghese, 1996): QUANTUM_BYTES a turn,
and what a large message takes beyond them is owed. Messages of one organization stay in order of
arrival.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

QUANTUM_BYTES = 16 * 1024
MESSAGE_BYTES = 256
"""Counted per message beside its payload."""


class Waiting(Protocol):
    """A message as the queue sees it. organization: a number."""

    @property
    def payload(self) -> bytes: ...
    @property
    def organization(self) -> int: ...
    @property
    def peer(self) -> object: ...


M = TypeVar("M", bound=Waiting)


@dataclass(slots=True)
class _Lane(Generic[M]):
    """The messages of one organization. balance: bytes that it may take; below 0 it owes."""

    messages: deque[M] = field(default_factory=deque[M])
    balance: int = 0


class Queue(Generic[M]):
    """The lanes of all organizations. held: organizations that nothing is taken of."""

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane[M]] = {}  # none is empty; the next in turn comes first
        self._arrived = asyncio.Event()
        self.held: Collection[int] = ()

    def __len__(self) -> int:
        return sum(len(lane.messages) for lane in self._lanes.values())

    def put(self, messages: Iterable[M]) -> None:
        """Append messages to the lanes of their organizations."""
        lanes = self._lanes
        for message in messages:
            lane = lanes.get(message.organization)
            if lane is None:
                lane = lanes[message.organization] = _Lane()
            lane.messages.append(message)
        self._arrived.set()

    async def receive(self, max_messages: int, max_bytes: int) -> list[M]:
        """Return messages by turns within both bounds; one at least. Waits for it."""
        while not (taken := self._take(max_messages, max_bytes)):
            self._arrived.clear()
            await self._arrived.wait()
        return taken

    def drop(self, peer: object) -> None:
        """Forget what came from a link."""
        for number, lane in list(self._lanes.items()):
            lane.messages = deque(one for one in lane.messages if one.peer is not peer)
            if not lane.messages:
                del self._lanes[number]

    def _take(self, max_messages: int, max_bytes: int) -> list[M]:
        taken, room = list[M](), max_bytes
        turns = deque(number for number in self._lanes if number not in self.held)
        while turns:
            number = turns.popleft()
            lane = self._lanes.pop(number)
            lane.balance += QUANTUM_BYTES
            while lane.messages and lane.balance > 0:
                size = len(lane.messages[0].payload)
                if taken and (len(taken) >= max_messages or size > room):
                    self._lanes[number] = lane
                    return taken
                room -= size
                lane.balance -= size + MESSAGE_BYTES
                taken.append(lane.messages.popleft())
            if lane.messages:
                self._lanes[number] = lane
                turns.append(number)
        return taken
