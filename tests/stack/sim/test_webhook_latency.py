"""From the sending of a fix to the webhook that it caused."""

import json

import numpy as np
import pytest

from device_sim.ledger import Ledger
from stack.scenario.zones import SimZone
from stack.sim.webhook_latency import webhook_latencies
from stack.verify.webhook_receiver import Received
from telemetry.fix import FixBatch
from telemetry.times import format_time
from tests.stack.small_runs import INSIDE, SQUARE, ZONES, at_us, history_of, sent

SLOW = SimZone("slow", "Slow", SQUARE, rules={"enter_confirm_fixes": 3})
HISTORY = history_of(*ZONES, SLOW)


def ledger() -> Ledger:
    """Return fixes of second 1 and 2, sent 5 ms after."""
    found = Ledger()
    found.plan(FixBatch(sent((0, 1, INSIDE), (0, 2, INSIDE), (1, 1, INSIDE))), np.array([1, 1, 1]))
    for message, at_s in enumerate((1, 2, 1)):
        found.sent(message, at_us(at_s) + 5_000)
    return found


def webhook(after_s: float, latency_s: float, zone: int = 0, **data: object) -> Received:
    body = {
        "occurred_at": format_time(at_us(after_s)),
        "data": {
            "tracker_id": HISTORY.tracker_ids[0],
            "zone_id": HISTORY.zone_ids[zone],
            "transition": "enter",
            "cause": "moved",
            "inferred": None,
            "late": False,
        }
        | data,
    }
    came_us = at_us(after_s) + 5_000 + round(latency_s * 1e6)
    return Received(f"evt_{after_s}_{zone}", json.dumps(body).encode(), None, came_us)


def test_an_enter_that_a_fix_decides_is_measured_from_its_sending() -> None:
    found = webhook_latencies([webhook(1, 0.2), webhook(2, 0.3)], ledger(), HISTORY).quantiles_ms()
    assert found is not None
    assert (found.count, found.max) == (2, 300.0)


def test_a_webhook_that_comes_again_counts_once() -> None:
    found = webhook_latencies([webhook(1, 0.2), webhook(1, 9)], ledger(), HISTORY)
    assert (found.count, found.worst_s) == (1, 0.2)


@pytest.mark.parametrize(
    "other",
    [
        webhook(1, 0.2, zone=2),
        webhook(1, 0.2, transition="exit"),
        webhook(1, 0.2, inferred="segment"),
        webhook(1, 0.2, late=True),
        webhook(1, 0.2, cause="initial"),
        webhook(3, 0.2),
        webhook(1, 0.2, tracker_id="trk_other"),
    ],
)
def test_what_waits_for_something_else_is_not_measured(other: Received) -> None:
    assert webhook_latencies([other], ledger(), HISTORY).count == 0
