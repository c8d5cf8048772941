"""Wake-ups make deliveries prompt, and are nothing that a delivery depends on."""

from datetime import UTC, datetime
from functools import partial

import pytest

from db.core.connect import Connection, connect
from db.core.errors import OperationalError
from db.core.ids import new_id
from db.core.wakeups import WakeUps
from db.history import events
from db.history.events import Event
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.world import BREACH, delivering
from webhooks.delivery.deliverer import DeliverLimits
from webhooks.sequencer import SequencerLimits

NEVER_S = 3_600
ONLY_WOKEN = DeliverLimits(attempt_s=1, idle_s=NEVER_S)
SEQUENCED_ONLY_WOKEN = SequencerLimits(idle_s=NEVER_S)


async def _nowhere() -> Connection:
    raise OperationalError("no session can be had")


@pytest.mark.parametrize("has_wake_ups", [True, False])
async def test_an_event_of_another_process_is_delivered(world, database, has_wake_ups):
    """No loop polls here: while no session can be had, all are woken up again and again."""
    url = database.url("opsc_deliver")
    org_id = await world.organization()
    writer = WakeUps(partial(connect, url, "test-wakeups") if has_wake_ups else _nowhere)
    async with (
        receivers.well_behaved() as receiver,
        delivering(
            database,
            connect_wake_ups=partial(connect, url, "test") if has_wake_ups else _nowhere,
            limits=ONLY_WOKEN,
            sequencer_limits=SEQUENCED_ONLY_WOKEN,
        ) as running,
        writer.running(),
    ):
        await world.endpoint(org_id, receiver.url)
        await until(lambda: running.deliverer.trouble() is None)
        for number in range(1, 4):
            event = Event(org_id, new_id(), BREACH, datetime.now(UTC), "{}")
            await events.insert(world.ingest, [event])
            writer.send(world.ingest.pop_wake_ups())
            await until(lambda number=number: len(receiver.requests) == number)
