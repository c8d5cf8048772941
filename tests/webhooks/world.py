"""A database with organizations, endpoints and events, as the other roles would have made them."""

import asyncio
import base64
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.core.connect import Connection, Limits, connect, pool
from db.core.ids import new_id
from db.core.secrets import SecretBox, SecretKeys
from db.core.wakeups import Channel, WakeUps
from db.delivery import fan_out, sequencer
from db.resources.organizations import create_organization
from db.resources.plans import PlanName
from service.background.row_guard import GuardLimits
from tests.servers import DatabaseUnderTest
from tests.webhooks.poison.guards import guard_of
from webhooks.delivery.deliverer import Deliverer, DeliverLimits
from webhooks.delivery.post import Poster
from webhooks.fan_out import FanOut, FanOutLimits
from webhooks.metrics import WebhookMetrics
from webhooks.retry import Answer
from webhooks.sequencer import Sequencer, SequencerLimits

SECRET_KEY = bytes(range(32))
EVENTS_AT_ONCE = 10_000
BREACH = "asset.geofence_breach"


@dataclass(frozen=True)
class Endpoint:
    org_id: UUID
    id: UUID
    secret: str


class World:
    """A world in which the owner, the administrator and ingest write; the code under test works as
    opsc_deliver.
    """

    def __init__(self, database: DatabaseUnderTest, admin: Connection, ingest: Connection) -> None:
        self.database = database
        self.admin = admin
        self.ingest = ingest

    async def organization(self, plan: PlanName = "unlimited") -> UUID:
        async with (
            await connect(self.database.url("opsc_owner"), "test") as owner,
            owner.transaction(),
        ):
            return await create_organization(
                owner, name="Acme", email="a@example.com", password_hash="", plan=plan
            )

    async def set_plan(self, org_id: UUID, plan: PlanName, *, addon: bool = False) -> None:
        await self.admin.execute(
            "UPDATE organizations SET plan = %s, api_addon = %s WHERE org_id = %s",
            (plan, addon, org_id),
        )

    async def endpoint(self, org_id: UUID, url: str, types: Sequence[str] = ("*",)) -> Endpoint:
        endpoint_id = new_id()
        secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
        sealed = SecretBox((SECRET_KEY,)).seal(secret.encode(), endpoint_id.bytes)
        await self.admin.execute(
            "INSERT INTO webhook_endpoints (org_id, id, url, types, secret_encrypted)"
            " VALUES (%s, %s, %s, %s, %s)",
            (org_id, endpoint_id, url, list(types), sealed),
        )
        return Endpoint(org_id, endpoint_id, secret)

    async def change(self, endpoint: Endpoint, **columns: Any) -> None:
        """Change columns of an endpoint, as the API does."""
        values = ", ".join(f"{name} = %s" for name in columns)
        await self.admin.execute(
            f"UPDATE webhook_endpoints SET {values}, updated_at = clock_timestamp() WHERE id = %s",
            (*columns.values(), endpoint.id),
        )

    async def delete(self, endpoint: Endpoint) -> None:
        await self.admin.execute(
            "UPDATE webhook_endpoints SET deleted_at = now() WHERE id = %s", (endpoint.id,)
        )

    async def events(
        self, org_id: UUID, count: int, *, kind: str = BREACH, conn: Connection | None = None
    ) -> None:
        for first in range(1, count + 1, EVENTS_AT_ONCE):
            last = min(first + EVENTS_AT_ONCE - 1, count)
            await (conn or self.ingest).execute(
                """
                INSERT INTO events (org_id, id, type, occurred_at, data)
                SELECT %s, gen_random_uuid(), %s, '2026-01-01T12:00:00.5Z',
                       json_build_object('number', n)
                  FROM generate_series(%s::int, %s::int) AS n
                """,
                (org_id, kind, first, last),
            )

    async def seqs(self, org_id: UUID) -> list[int | None]:
        """Return the seqs in the order of writing."""
        return [row[0] for row in await self.rows("events", "seq", "position", org_id)]

    async def deliveries(self, org_id: UUID) -> list[tuple[Any, ...]]:
        columns = "state, attempts, last_status, last_error, claimed_until IS NOT NULL"
        return await self.rows("webhook_deliveries", columns, "seq", org_id)

    async def states(self, org_id: UUID) -> list[str]:
        return [row[0] for row in await self.deliveries(org_id)]

    async def has_attempted(self, org_id: UUID, attempts: int) -> bool:
        return sum(row[1] for row in await self.deliveries(org_id)) >= attempts

    async def are_claimed(self, org_id: UUID, deliveries: int) -> bool:
        return sum(row[4] for row in await self.deliveries(org_id)) >= deliveries

    async def none_is_claimed(self, org_id: UUID) -> bool:
        return not await self.are_claimed(org_id, 1)

    async def all_are(self, org_id: UUID, state: str, count: int | None = None) -> bool:
        """Return whether all deliveries have the state, and are as many."""
        states = await self.states(org_id)
        return set(states) == {state} and count in (None, len(states))

    async def rows(self, table: str, columns: str, order: str, org_id: UUID) -> list[Any]:
        cursor = await self.admin.execute(
            f"SELECT {columns} FROM {table} WHERE org_id = %s ORDER BY {order}",
            (org_id,),
        )
        return await cursor.fetchall()

    async def all_are_made(self, org_id: UUID) -> bool:
        """Return whether all events have their seq and their deliveries."""
        if None in await self.seqs(org_id):
            return False
        behind = await self.admin.execute(
            "SELECT FROM organizations AS o JOIN webhook_cursors AS c USING (org_id)"
            " WHERE org_id = %s AND c.seq < o.event_seq",
            (org_id,),
        )
        return behind.rowcount == 0

    async def make_deliveries(self, deliver: Connection, epoch: int) -> int:
        """Number events and make their deliveries, as opsc_deliver. Return how many it were."""
        made = 0
        while (await numbered(deliver, epoch, 5_000)).events:
            pass
        while org_ids := await fan_out.behind(deliver):
            made += (await fan_out.fan_out(deliver, epoch, org_ids, rows=2_000)).deliveries
        return made

    async def clear(self) -> None:
        """Remove events, endpoints and leases, as if no test had been before."""
        await self.admin.execute(
            "TRUNCATE events, event_subjects, webhook_deliveries, webhook_endpoints,"
            " webhook_failures, webhook_endpoint_hours, failing_work"
        )
        await self.admin.execute("DELETE FROM webhook_attempts")  # the day's chunk stays
        await self.admin.execute(
            "UPDATE webhook_cursors AS c SET seq = event_seq"
            " FROM organizations AS o WHERE o.org_id = c.org_id"
        )
        await self.admin.execute("UPDATE leases SET expires_at = '-infinity'")

    async def make_due(self) -> None:
        """Make everything due: as if the time of each next attempt had come, and each claim had
        lapsed.
        """
        await self.admin.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now(), claimed_until = NULL"
            " WHERE state = 'pending'"
        )


async def numbered(deliver: Connection, epoch: int, limit: int) -> sequencer.Sequenced:
    """Number about `limit` events of all organizations that have any."""
    return await sequencer.sequence(deliver, epoch, await sequencer.behind(deliver), limit=limit)


@asynccontextmanager
async def world_in(database: DatabaseUnderTest) -> AsyncIterator[World]:
    """Provide a World as the database holds it."""
    async with (
        await connect(database.url("admin"), "test") as admin,
        await connect(database.url("opsc_ingest"), "test") as ingest,
    ):
        yield World(database, admin, ingest)


@dataclass
class Running:
    """One delivering process, in this one."""

    metrics: WebhookMetrics
    deliverer: Deliverer
    stop: asyncio.Event


@asynccontextmanager
async def delivering(
    database: DatabaseUnderTest,
    *,
    limits: DeliverLimits | None = None,
    sequencer_limits: SequencerLimits | None = None,
    fan_out_limits: FanOutLimits | None = None,
    guard_limits: GuardLimits | None = None,
    allow_loopback: bool = True,
    connect_wake_ups: Callable[[], Awaitable[Connection]] | None = None,
    session_limits: Limits | None = None,
    secret_keys: SecretKeys = (SECRET_KEY,),
    metrics: WebhookMetrics | None = None,
) -> AsyncIterator[Running]:
    """Run sequencer and deliverer, until the block ends; then they stop in order.

    connect_wake_ups: makes the sessions of wake-ups; without it there are none.
    """
    limits = limits or DeliverLimits(attempt_s=1, survey_s=0.1, grace_s=2)
    metrics, stop = metrics or WebhookMetrics(), asyncio.Event()
    async with (
        pool(
            database.url("opsc_deliver"),
            "test-deliver",
            max_size=6,
            limits=session_limits,
            wait_s=1,
        ) as connections,
        Poster(
            allow_loopback=allow_loopback,
            connections=limits.queues.in_flight,
            timeout_s=limits.attempt_s,
        ) as poster,
        AsyncExitStack() as stack,
        asyncio.TaskGroup() as loops,
    ):
        url = database.url("opsc_deliver")
        wake_ups = WakeUps(connect_wake_ups or _never)
        guard = guard_of(connections, guard_limits)
        deliverer = Deliverer(
            connections,
            lambda: connect(url, "test-claims"),
            poster,
            SecretBox(secret_keys),
            guard,
            metrics,
            limits,
        )
        wake_ups.on(Channel.DELIVERIES, deliverer.wake)
        deliveries = FanOut(connections, wake_ups.send, guard, metrics, fan_out_limits)
        leader = Sequencer(
            connections,
            f"test-{random.random()}",
            wake_ups.send,
            deliveries,
            guard,
            metrics,
            sequencer_limits or SequencerLimits(lease_s=2, standby_s=0.1, idle_s=0.02),
        )
        wake_ups.on(Channel.EVENTS, leader.wake)
        if connect_wake_ups is not None:
            await stack.enter_async_context(wake_ups.running())
        loops.create_task(leader.run(stop))
        loops.create_task(deliveries.run(stop))
        loops.create_task(deliveries.bound(stop))
        loops.create_task(deliverer.run(stop))
        try:
            yield Running(metrics, deliverer, stop)
        finally:
            stop.set()
            leader.wake()
            deliverer.wake()


async def _never() -> Connection:
    raise AssertionError("wake-ups that are not running open no session")


async def posted(poster: Poster, url: str, body: bytes, *, headers: bytes = b"") -> Answer:
    """Return what comes of one POST."""
    answered = asyncio.get_running_loop().create_future()
    poster.post(url, headers, body, answered.set_result)
    return await answered
