"""The outbox: messages of devices, kept until ingest has committed them.

An organization's unanswered messages at ingest are bounded, so that a slow organization fills only
its own share. The rest of its messages waits here, in order. After a change of leader `begin_again`
makes all unanswered messages due again, in order.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from telemetry import link

BLOCK_MESSAGES = 4_096
BLOCK_BYTES = 1024 * 1024
CONTENDED_MESSAGES = 256
CONTENDED_BYTES = 256 * 1024
"""What an organization may have at ingest while others send, too: those wait for the batch that it
is in, so the batch must be small.
"""
CONTENDED_FOR_MESSAGES = 65_536
"""The number of messages after its last one for which another organization counts as sending."""
MESSAGE_OVERHEAD_BYTES = 512
"""Counted per message beside its payload: what the objects around a small message take."""

_log = structlog.get_logger("listener")


class DeviceMessage(Protocol):
    """A PUBLISH as the link sees it."""

    @property
    def number(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def correlation_data(self) -> bytes | None: ...
    @property
    def oversize_bytes(self) -> int: ...
    @property
    def qos(self) -> int: ...


class PlainMessage(NamedTuple):
    """A message of a protocol that has no more to say of it than its bytes."""

    topic: str
    payload: bytes
    oversize_bytes: int = 0
    qos: int = 1
    number: int = 0
    correlation_data: bytes | None = None


@dataclass(slots=True, eq=False)
class Origin:
    """A connection that messages come from, as the link sees it.

    id: never used again by this process. organization: a number of ours. began_s: by
    `time.monotonic`, as the loop's clock stands still for a turn. committed: called with the
    message and its result, in the order of the connection's messages as far as they are committed
    in order. released: called instead with a message that is not sent any more. is_session: it ends
    an older connection of the tracker.
    """

    id: int
    organization: int
    tracker_id: UUID
    org_id: UUID
    client_id: str
    began_s: float
    committed: Callable[[DeviceMessage, int], None]
    released: Callable[[DeviceMessage], None]
    topic: str | None = None  # that was defined last
    topic_number: int = 0
    unanswered: int = 0
    queue: int = 0  # of the log, where there is one
    is_gone: bool = False
    is_session: bool = True

    @property
    def age_us(self) -> int:
        return round((time.monotonic() - self.began_s) * 1_000_000)


class HeldMessage(NamedTuple):
    """A message and where it came from."""

    origin: Origin
    message: DeviceMessage

    @property
    def cost(self) -> int:
        return cost(self.message)


def cost(message: DeviceMessage) -> int:
    """Return what a message counts for in bounds: bytes, but for the characters of its topic."""
    return len(message.payload) + len(message.topic) + MESSAGE_OVERHEAD_BYTES


class Share:
    """The messages of one organization: those at ingest, and those that wait here."""

    __slots__ = ("bytes", "messages", "waiting")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.waiting: dict[int, deque[HeldMessage]] = {}  # by connection; the next one is the first

    def hold_back(self, held: HeldMessage) -> None:
        """Let a message wait."""
        self.waiting.setdefault(held.origin.id, deque()).append(held)

    def next_waiting(self) -> HeldMessage:
        """Take the next message that waits: connections take turns."""
        origin_id = next(iter(self.waiting))
        queue = self.waiting.pop(origin_id)
        held = queue.popleft()
        if queue:
            self.waiting[origin_id] = queue
        return held


class Outbox:
    """The messages in order: those at ingest, by number, and those that wait for credit.

    An organization may have as much at ingest as there is room left for others: alone a half of
    all, with another one a third each (dynamic thresholds: Choudhury and Hahne, 1998). While others
    send, it may have `CONTENDED_MESSAGES` there, because their messages wait for the batch that it
    is in.
    """

    def __init__(self) -> None:
        self.sent: dict[int, HeldMessage] = {}
        self.messages = 0
        self.bytes = 0
        self.credit_messages = 0
        self.credit_bytes = 0
        self._next = 0
        self._puts = 0
        self._latest = -1  # the organization of the last message
        self._contended_until = 0  # how many messages were put by then
        self._ready: deque[HeldMessage] = deque()
        self._shares: dict[int, Share] = {}
        self._waiting: set[int] = set()  # organizations

    def __len__(self) -> int:
        """Return messages that are not committed."""
        return (
            len(self.sent)
            + len(self._ready)
            + sum(len(queue) for s in self._shares.values() for queue in s.waiting.values())
        )

    def put(self, origin: Origin, message: DeviceMessage) -> None:
        share = self._share(origin.organization)
        self._puts += 1
        if origin.organization != self._latest:
            if self._latest >= 0:
                self._contended_until = self._puts + CONTENDED_FOR_MESSAGES
            self._latest = origin.organization
        held = HeldMessage(origin, message)
        origin.unanswered += 1
        if share.waiting or not self._has_room(share):
            share.hold_back(held)
            self._waiting.add(origin.organization)
        else:
            self._admit(share, held)

    def next_block(
        self, messages: int = BLOCK_MESSAGES, size_bytes: int = BLOCK_BYTES
    ) -> tuple[int, list[HeldMessage]]:
        """Number what may be sent now, at most a block of it."""
        first, taken, size = self._next, list[HeldMessage](), 0
        while self._ready and len(taken) < messages and size < size_bytes:
            held = self._ready.popleft()
            size += len(held.message.payload) + len(held.message.topic)
            self.sent[self._next] = held
            self._next += 1
            taken.append(held)
        return first, taken

    def answered(self, first: int, count: int) -> Iterable[HeldMessage]:
        """Forget messages that are committed, and let in what waited for their room."""
        for number in range(first, first + count):
            held = self.sent.pop(number, None)
            if held is None:
                raise link.FrameError(f"message {number} is answered and was not sent")
            share = self._shares[held.origin.organization]
            share.messages -= 1
            share.bytes -= held.cost
            self.messages -= 1
            self.bytes -= held.cost
            held.origin.unanswered -= 1
            yield held

    def refill(self) -> None:
        """Let organizations that wait send what there is room for now, by turns."""
        while self._waiting:
            moved = False
            for organization in tuple(self._waiting):
                share = self._shares[organization]
                if self._has_room(share):
                    self._admit(share, share.next_waiting())
                    moved = True
                if not share.waiting:
                    self._waiting.discard(organization)
            if not moved:
                return

    def begin_again(self, credit_messages: int, credit_bytes: int) -> None:
        """Begin a new link: numbers start again, and all that was not answered is sent again."""
        self.credit_messages, self.credit_bytes = credit_messages, credit_bytes
        again = [*self.sent.values(), *self._ready]
        for share in self._shares.values():
            for queue in share.waiting.values():
                again.extend(queue)
        self.sent.clear()
        self._ready.clear()
        self._shares.clear()
        self._waiting.clear()
        self._next = self.messages = self.bytes = 0
        for origin, message in again:
            origin.unanswered -= 1
            self.put(origin, message)

    def drop_waiting(self, origin: Origin, *, keeps_qos_0: bool) -> list[HeldMessage]:
        """Forget what waits of a connection that is gone, and return it.

        Its device sends again what is of QoS 1 or 2.
        """
        share = self._shares.get(origin.organization)
        queue = None if share is None else share.waiting.pop(origin.id, None)
        if share is None or queue is None:
            return []
        kept = deque(held for held in queue if keeps_qos_0 and held.message.qos == 0)
        dropped = [held for held in queue if not keeps_qos_0 or held.message.qos != 0]
        if kept:
            share.waiting[origin.id] = kept
        if not share.waiting:
            self._waiting.discard(origin.organization)
        origin.unanswered -= len(dropped)
        return dropped

    def _share(self, organization: int) -> Share:
        share = self._shares.get(organization)
        if share is None:
            share = self._shares[organization] = Share()
        return share

    def _has_room(self, share: Share) -> bool:
        if self._puts < self._contended_until and (
            share.messages >= CONTENDED_MESSAGES or share.bytes >= CONTENDED_BYTES
        ):
            return False
        return (
            share.messages < self.credit_messages - self.messages
            and share.bytes < self.credit_bytes - self.bytes
        )

    def _admit(self, share: Share, held: HeldMessage) -> None:
        cost = held.cost
        share.messages += 1
        share.bytes += cost
        self.messages += 1
        self.bytes += cost
        self._ready.append(held)
