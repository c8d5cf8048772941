"""The way of a batch, on one screen: plan, one transaction, acknowledge.

    messages -> decoded -> accepted -> new | late | known -> judged    (a `WritePlan`, values only)
             -> one transaction (`ingest.transaction`)
             -> after COMMIT: acknowledged to the source, receipts to trackers, wake-ups

While the database works on one batch, the next is planned, from the memory that the first will
leave behind. Nothing of it is written before the first has committed, and nothing is acknowledged.
Where the database refuses the data of a batch, it is stored in parts (`ingest.splitting`). Any
other failure ends the leader's term, and with it the memory and what was planned from it: the next
term reads the memory back and the sources hand their messages over again. A batch that ends one
term after the other in a way that nobody foresaw is decoded, planned and stored in parts, too.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import structlog

from db.core.connect import Connection
from ingest.late.lookup import Lookup, Planning
from ingest.planning.decoded_batch import DecodedBatch, decode_batch
from ingest.planning.deferral import SHARED_FIXES, finished, shared
from ingest.planning.plan import SMALL_FIXES, WritePlan, advance, make_plan
from ingest.planning.poison_messages import DATA_ERRORS, NOT_ABOUT_MESSAGES
from ingest.receipts import WaysBack, receipts, send
from ingest.results import results
from ingest.runtime import IngestRuntime
from ingest.sources.decryption import opened_payloads
from ingest.sources.source import RawMessage, Source, SourceBatch, in_turn
from ingest.splitting import blame, clear_poisoned, decode_in_parts, store_in_parts
from ingest.transaction import (
    LeaderTerm,
    Stored,
    made_with_lookups,
    plan_with_lookups,
    store,
)

_log = structlog.get_logger("ingest")

SMALL_BYTES = 64 * 1024
"""A batch with more is planned in a thread, however few its messages are."""


class Planned(NamedTuple):
    """A batch on its way into the database.

    taken: what came from its source, decoded; arrivals: the deferred fixes, and then `taken`.
    reverted: `Memory.reverted` when it was planned.
    """

    taken: DecodedBatch
    arrivals: DecodedBatch
    plan: WritePlan
    reverted: int


class Begun(NamedTuple):
    """A batch whose plan is begun; the other fields are as in `Planned`.

    step: what the plan asks for, or the plan, if that is made.
    """

    taken: DecodedBatch
    arrivals: DecodedBatch
    planning: Planning[WritePlan]
    step: WritePlan | Lookup
    reverted: int


class Unplanned(NamedTuple):
    """Messages of a batch that could not be planned, several terms on end."""

    messages: Sequence[RawMessage]
    error: Exception


class Pipeline:
    """The batches of one term: a loop that plans, a loop that stores, and one plan between them.

    side: a second connection, for the loop that plans.
    """

    def __init__(
        self,
        term: LeaderTerm,
        runtime: IngestRuntime,
        side: Connection,
        sources: Sequence[Source],
        ways_back: WaysBack,
    ) -> None:
        self._term, self._memory = term, term.memory
        self._runtime, self._side = runtime, side
        self._sources, self._ways_back = sources, ways_back
        self._handover: asyncio.Queue[Planned | Unplanned] = asyncio.Queue(maxsize=1)
        self._memory_is_current = asyncio.Event()  # it holds every plan that was made
        self._uses_memory = asyncio.Lock()  # to plan, or to revert a plan

    async def run(self) -> None:
        """Work until the runtime is stopping, and store what was planned by then."""
        async with asyncio.TaskGroup() as tasks:
            planning = tasks.create_task(self._plan_batches())
            storing = tasks.create_task(self._store_batches())
            await self._runtime.stopping.wait()
            planning.cancel()
            await self._handover.join()
            storing.cancel()

    async def _plan_batches(self) -> None:
        """Plan the next batch while the database works on the one before.

        A large one in a thread: the event loop is free to feed COPY and to hear the sources
        meanwhile. A batch is not taken before it can be planned: messages gather until then, and
        larger batches cost less.
        """
        limits = self._runtime.current_limits
        async for received in in_turn(self._sources, lambda: limits(self._memory)):
            await self._handover.put(await self._planned(received))
            await self._memory_is_current.wait()

    async def _planned(self, received: SourceBatch) -> Planned | Unplanned:
        try:
            box = self._runtime.encryption_keys
            opened = await opened_payloads(self._side, received.messages, box)
            async with self._uses_memory:
                self._memory_is_current.clear()
                if _is_small(received):
                    begun = self._begin_plan(received, opened)
                else:
                    begun = await asyncio.to_thread(self._begin_plan, received, opened)
            return await self._finished_plan(begun)
        except NOT_ABOUT_MESSAGES:
            raise
        except Exception as error:  # noqa: BLE001
            deferred = chain.from_iterable(one.part.messages for one in self._memory.deferred)
            blame(self._term, [*received.messages, *deferred], error)
            self._memory_is_current.clear()
            return Unplanned(received.messages, error)

    async def _store_batches(self) -> None:
        while True:
            planned = await self._handover.get()
            if isinstance(planned, Unplanned):
                await self._store_unplanned(planned)
            else:
                await self._store_planned(planned)
            self._runtime.smaller_by = max(1, self._runtime.smaller_by // 2)
            self._handover.task_done()

    async def _store_planned(self, planned: Planned) -> None:
        if planned.reverted != self._memory.reverted:
            planned = await self._plan_anew(self._term.conn, planned.taken)
        term, arrivals, sources = self._term, planned.arrivals, self._sources
        on_applied = self._memory_is_current.set
        try:
            stored = await store(term, arrivals, planned.plan, sources, on_applied)
        except NOT_ABOUT_MESSAGES:
            raise
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, DATA_ERRORS):
                blame(term, arrivals.messages, error)
            async with self._uses_memory:
                await store_in_parts(term, arrivals, sources, error, self._acknowledge)
            on_applied()
        else:
            self._acknowledge(stored)
            clear_poisoned(self._memory, arrivals)

    def _begin_plan(self, received: SourceBatch, opened: Mapping[int, bytes]) -> Begun:
        """Decode and plan a batch, up to what has to be looked up."""
        runtime, memory = self._runtime, self._memory
        taken = decode_batch(received.messages, *self._acceptable_us(), opened)
        payload_bytes = sum(len(message.payload) for message in received.messages)
        runtime.fix_size.saw(len(taken.decoded.batch), payload_bytes)
        arrivals = self._with_deferred(taken)
        memory.smaller_by = runtime.smaller_by
        planning = make_plan(arrivals, memory, self._term.now_us())
        return Begun(taken, arrivals, planning, advance(planning), memory.reverted)

    def _acceptable_us(self) -> tuple[int, int]:
        """Return the time of now, and that of the oldest fixes that are kept."""
        taken_us = self._term.now_us()
        return taken_us, self._runtime.acceptance.oldest_us(taken_us)

    async def _store_unplanned(self, unplanned: Unplanned) -> None:
        """Store the messages of a batch in parts, and refuse those that fail by themselves."""
        messages, error = unplanned
        opened = await self._opened_one_by_one(messages)
        times_us = self._acceptable_us()

        def decode(numbers: Sequence[int]) -> DecodedBatch:
            payloads = {at: opened[number] for at, number in enumerate(numbers) if number in opened}
            return decode_batch([messages[number] for number in numbers], *times_us, payloads)

        async with self._uses_memory:
            arrivals = self._with_deferred(decode_in_parts(self._term, messages, decode))
            await store_in_parts(self._term, arrivals, self._sources, error, self._acknowledge)
            self._memory_is_current.set()

    async def _opened_one_by_one(self, messages: Sequence[RawMessage]) -> Mapping[int, bytes]:
        """Return the payloads that open; what raises stays closed, and the decoder refuses it."""
        opened: dict[int, bytes] = {}
        for number, message in enumerate(messages):
            try:
                own = await opened_payloads(
                    self._term.conn, [message], self._runtime.encryption_keys
                )
            except NOT_ABOUT_MESSAGES:
                raise
            except Exception as error:  # noqa: BLE001
                _log.error("a message could not be decrypted", topic=message.topic, exc_info=error)
            else:
                if 0 in own:
                    opened[number] = own[0]
        return opened

    async def _finished_plan(self, begun: Begun) -> Planned:
        taken, arrivals, planning, step, reverted = begun
        if isinstance(step, Lookup):
            await self._handover.join()  # what was planned before has to be committed
            if reverted != self._memory.reverted:
                return await self._plan_anew(self._side, taken)
            step = await made_with_lookups(self._side, planning, step, self._memory.registry)
        return Planned(taken, arrivals, step, reverted)

    async def _plan_anew(self, conn: Connection, taken: DecodedBatch) -> Planned:
        """Plan a batch again, with the fixes deferred now and with look-ups."""
        arrivals = self._with_deferred(taken)
        plan = await plan_with_lookups(conn, arrivals, self._memory, self._term.now_us)
        return Planned(taken, arrivals, plan, self._memory.reverted)

    def _with_deferred(self, taken: DecodedBatch) -> DecodedBatch:
        """Return the deferred fixes followed by what was taken, cut to the size of a batch."""
        memory = self._memory
        is_plain = not (memory.poisoned or memory.slow or taken.decoded.punches)
        is_small = len(taken.decoded.batch) <= SHARED_FIXES or not memory.company.is_shared
        if memory.deferred or not is_plain or not is_small:
            taken = shared(taken, memory, self._runtime.batch_fixes // self._runtime.smaller_by)
        arrivals = memory.in_order(taken)
        self._term.metrics.feed_ahead.set((arrivals.feed_us - arrivals.received_us) / 1e6)
        return arrivals

    def _acknowledge(self, stored: Stored) -> None:
        """Acknowledge to the sources, send receipts to trackers, and wake up readers of events."""
        done, codes = finished(stored.arrivals, stored.plan), results(*stored)
        for source in self._sources:
            source.acknowledge(done, codes)
        made = receipts(stored.arrivals, stored.plan, self._memory.registry)
        send(self._ways_back, made, self._term.metrics)
        self._runtime.wake_ups.send(self._term.conn.pop_wake_ups())


def _is_small(received: SourceBatch) -> bool:
    """Whether a batch is planned sooner than a thread is woken up."""
    payload_bytes = sum(len(message.payload) for message in received.messages)
    return len(received.messages) <= SMALL_FIXES and payload_bytes <= SMALL_BYTES
