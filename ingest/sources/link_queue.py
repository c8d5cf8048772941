"""Messages of all links, which wait for their batch: organizations take turns.

    queue.put(messages)
    messages = await queue.receive(max_messages, max_bytes)

An organization that sends without end fills its own flow, and has no more of a batch than its
turns. This is a fair queue by deficit round robin (Shreedhar and Varghese, 1996): QUANTUM_BYTES a
turn, and what a large message takes beyond them is owed. Messages of one organization stay in order
of arrival.
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
    """A message as the queue sees it. flow: the number of its flow."""

    @property
    def payload(self) -> bytes: ...
    @property
    def flow(self) -> int: ...
    @property
    def peer(self) -> object: ...


M = TypeVar("M", bound=Waiting)


@dataclass(slots=True)
class _Flow(Generic[M]):
    """The messages of one organization. credit_bytes: what it may take; below 0 it owes."""

    messages: deque[M] = field(default_factory=deque[M])
    credit_bytes: int = 0


class Queue(Generic[M]):
    """The flows of all organizations. paused: the numbers of those that nothing is taken of."""

    def __init__(self) -> None:
        self._flows: dict[int, _Flow[M]] = {}  # none is empty; the next in turn comes first
        self._arrived = asyncio.Event()
        self.paused: Collection[int] = ()

    def __len__(self) -> int:
        return sum(len(flow.messages) for flow in self._flows.values())

    def put(self, messages: Iterable[M]) -> None:
        """Append messages to the flows of their organizations."""
        flows = self._flows
        for message in messages:
            flow = flows.get(message.flow)
            if flow is None:
                flow = flows[message.flow] = _Flow()
            flow.messages.append(message)
        self._arrived.set()

    async def receive(self, max_messages: int, max_bytes: int) -> list[M]:
        """Return messages by turns within both bounds; one at least. Waits for it."""
        while not (taken := self._dequeue(max_messages, max_bytes)):
            self._arrived.clear()
            await self._arrived.wait()
        return taken

    def drop(self, peer: object) -> None:
        """Forget what came from a link."""
        for number, flow in list(self._flows.items()):
            flow.messages = deque(message for message in flow.messages if message.peer is not peer)
            if not flow.messages:
                del self._flows[number]

    def _dequeue(self, max_messages: int, max_bytes: int) -> list[M]:
        taken, room = list[M](), max_bytes
        turns = deque(number for number in self._flows if number not in self.paused)
        while turns:
            number = turns.popleft()
            flow = self._flows.pop(number)
            flow.credit_bytes += QUANTUM_BYTES
            while flow.messages and flow.credit_bytes > 0:
                size = len(flow.messages[0].payload)
                if taken and (len(taken) >= max_messages or size > room):
                    self._flows[number] = flow
                    return taken
                room -= size
                flow.credit_bytes -= size + MESSAGE_BYTES
                taken.append(flow.messages.popleft())
            if flow.messages:
                self._flows[number] = flow
                turns.append(number)
        return taken
