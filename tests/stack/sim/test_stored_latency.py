"""A fix that is looked for was sent just now, so that its latency begins with its sending."""

import asyncio

import numpy as np

from device_sim.ledger import Ledger
from stack.scenario.api_client import ApiClient
from stack.sim.stored_latency import StoredSampler
from telemetry.fix import FixBatch
from tests.stack.small_runs import INSIDE, ZONES, at_us, history_of, sent


async def test_a_message_that_was_sent_before_is_not_chosen() -> None:
    ledger = Ledger()
    ledger.plan(FixBatch(sent((0, 1, INSIDE), (0, 2, INSIDE))), np.array([1, 1]))
    ledger.sent(0, at_us(1))
    client = ApiClient("http://127.0.0.1:9")
    sampler = StoredSampler(client, history_of(*ZONES), ledger, is_json=True)
    choosing = asyncio.create_task(sampler.next_sent())
    await asyncio.sleep(0.1)
    assert not choosing.done()
    ledger.sent(1, at_us(2))
    assert await choosing == 1
