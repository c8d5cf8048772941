"""When an endpoint is disabled, and what becomes of its deliveries."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from db.core.connect import Limits, pool
from db.delivery import endpoint_health
from telemetry.ids import format_id
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.endpoints import (
    change_endpoint,
    disable,
    has_attempts,
    no_failures,
)
from tests.webhooks.poison.guards import guard_of
from tests.webhooks.world import World, delivering, world_in
from webhooks.delivery.deliverer import DeliverLimits
from webhooks.mail.mailing import Mailing
from webhooks.metrics import WebhookMetrics


async def test_410_disables_the_endpoint_and_the_others_are_told(world, database):
    org_id = await world.organization()
    await world.admin.execute("UPDATE users SET password_hash = 'x' WHERE org_id = %s", (org_id,))
    async with receivers.well_behaved(statuses=[410]) as gone, receivers.well_behaved() as other:
        endpoint = await world.endpoint(org_id, gone.url)
        await world.endpoint(org_id, other.url, ["webhook_endpoint.*"])
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: other.requests)
            await world.events(org_id, 1)
            await until(lambda: world.all_are_made(org_id))
    assert len(gone.requests) == 1
    event = json.loads(other.requests[0].body)
    assert event["type"] == "webhook_endpoint.disabled"
    assert event["data"]["endpoint_id"] == format_id("whe", endpoint.id)
    assert event["data"]["reason"] == "gone"
    assert gone.url not in other.requests[0].body.decode()
    found = await world.rows(
        "webhook_endpoints", "state, disabled_reason, disabled_at IS NOT NULL", "created_at", org_id
    )
    assert found == [("disabled", "gone", True), ("active", None, False)]


async def test_an_endpoint_that_is_gone_and_locked_stops_nobody_and_is_disabled_later(
    world, database
):
    """As `/recover` locks it for as long as it takes."""
    org_id, beside = await world.organization(), await world.organization()
    async with receivers.well_behaved(statuses=[410]) as gone, receivers.well_behaved() as other:
        endpoint = await world.endpoint(org_id, gone.url)
        await world.endpoint(beside, other.url)
        # Whoever waited for the lock would wait for longer than this test does.
        patient = Limits(statement_s=600, lock_s=600, transaction_s=600)
        async with delivering(database, session_limits=patient) as running:
            async with world.admin.transaction():
                await world.admin.execute(
                    "SELECT FROM webhook_endpoints WHERE id = %s FOR NO KEY UPDATE", (endpoint.id,)
                )
                async with world_in(database) as meanwhile:
                    await meanwhile.events(org_id, 1)
                    await until(lambda: gone.requests)
                    await meanwhile.events(beside, 20)
                    await until(lambda: _delivered(meanwhile, beside, 20))
                    assert (await meanwhile.states(org_id)) == ["failed"]
                    assert await meanwhile.rows("webhook_endpoints", "state", "id", org_id) == [
                        ("active",)
                    ]
                assert running.deliverer.trouble() is None
            await until(lambda: _is_disabled(world, org_id))
    assert len(gone.requests) == 1


async def _delivered(world: World, org_id, number: int) -> bool:
    return await world.states(org_id) == ["delivered"] * number


async def _is_disabled(world: World, org_id) -> bool:
    return await world.rows("webhook_endpoints", "disabled_reason", "id", org_id) == [("gone",)]


class _Sender:
    """A sender that takes letters."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, letter: Any) -> None:
        self.sent.append(letter)


async def test_failures_alone_for_days_disable_an_endpoint_and_admins_get_a_letter(
    world, database, deliver
):
    org_id = await world.organization()
    await world.admin.execute("UPDATE users SET password_hash = 'x' WHERE org_id = %s", (org_id,))
    failing, lately, recovered = [
        await world.endpoint(org_id, "http://127.0.0.1:9/") for _ in range(3)
    ]
    await change_endpoint(world, failing, description="to the\nERP")
    for endpoint, hours in ((failing, 121), (lately, 119)):
        await world.admin.execute(
            "INSERT INTO webhook_failures (org_id, endpoint_id, failing_since)"
            " VALUES (%s, %s, now() - %s)",
            (org_id, endpoint.id, timedelta(hours=hours)),
        )
    after_s = DeliverLimits().disable_after_s
    await endpoint_health.disable_failing(deliver, after_s=after_s, limit=10)
    await endpoint_health.disable_failing(deliver, after_s=after_s, limit=10)
    states = dict(await world.rows("webhook_endpoints", "id, disabled_reason", "id", org_id))
    assert states == {failing.id: "failures", lately.id: None, recovered.id: None}
    ((kind, data),) = await world.rows("events", "type, data", "position", org_id)
    assert (kind, data["reason"]) == ("webhook_endpoint.disabled", "failures")
    sender = _Sender()
    async with pool(database.url("opsc_deliver"), "test", max_size=2) as connections:
        mailing = Mailing(
            connections,
            sender,
            guard_of(connections),
            WebhookMetrics(),
            mail_from="o@example.com",
            public_url="https://x",
        )
        while await mailing.send_next():
            pass
    (letter,) = sender.sent
    assert letter["To"] == "a@example.com"
    text = letter.get_content()
    assert format_id("whe", failing.id) in text
    assert '("to the ERP")' in text


async def test_an_accepted_attempt_ends_what_is_known_of_failures(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[500]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        columns = "failed_at >= failing_since"
        async with delivering(database):
            await until(lambda: world.rows("webhook_failures", columns, "failed_at", org_id))
            await world.make_due()
            await until(lambda: no_failures(world, org_id))


async def test_a_disabled_endpoint_keeps_what_waits_for_three_days(world, database, deliver):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[500, 500]) as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 2)
        async with delivering(database):
            await until(lambda: has_attempts(world, org_id, 2))
            await disable(world, endpoint)
            await world.make_due()
            await change_endpoint(
                world, endpoint, disabled_at=datetime.now(UTC) - timedelta(hours=73)
            )
            await world.admin.execute(
                "UPDATE webhook_deliveries SET next_attempt_at = now() - interval '73 hours'"
                " WHERE seq = 1"
            )
            await until(lambda: _is_failed(world, org_id))
            assert len(receiver.requests) == 2
            await world.admin.execute(
                "UPDATE webhook_endpoints SET state = 'active', disabled_reason = NULL,"
                " disabled_at = NULL WHERE id = %s",
                (endpoint.id,),
            )
            await until(lambda: len(receiver.requests) == 3)
    errors = [row[3] for row in await world.deliveries(org_id)]
    assert errors == ["the endpoint is disabled", None]


async def _is_failed(world: World, org_id) -> bool:
    return (await world.states(org_id))[0] == "failed"
