"""The time from the sending of a fix to the webhook that it caused.

Looked at are enters that one fix decides at once: a device that moved into a zone whose rules ask
for no confirmation. All other events wait by their nature, for further fixes or for a deadline.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from device_sim.latency import Latencies
from device_sim.ledger import Ledger
from stack.verify.run_history import RunHistory
from stack.verify.webhook_receiver import Received
from telemetry.times import parse_time_us

_Sent = tuple[int, int]  # position of the tracker, time_us


def webhook_latencies(
    received: Iterable[Received], ledger: Ledger, history: RunHistory
) -> Latencies:
    """Return latencies of the webhooks whose fix is known; the first of each id counts."""
    at_once = {
        history.zone_ids[span.zone]
        for span in history.zones
        if not span.is_like.rules.keys() & {"enter_confirm_fixes", "enter_confirm_seconds"}
    }
    tracker = {name: number for number, name in enumerate(history.tracker_ids)}
    came_us: dict[str, tuple[_Sent, int]] = {}
    for webhook in received:
        data = _decided_at_once(webhook, at_once)
        if data is not None and data["tracker_id"] in tracker:
            fix = tracker[data["tracker_id"]], parse_time_us(data["occurred_at"])
            came_us.setdefault(webhook.webhook_id, (fix, webhook.received_us))
    sent_us = _sent_us(ledger, {fix for fix, _ in came_us.values()})
    latencies = Latencies()
    for fix, received_us in came_us.values():
        if fix in sent_us:
            latencies.record((received_us - sent_us[fix]) / 1e6)
    return latencies


def _decided_at_once(webhook: Received, zone_ids: set[str]) -> Mapping[str, Any] | None:
    event = msgspec.json.decode(webhook.body)
    data = event["data"] | {"occurred_at": event["occurred_at"]}
    wanted = {"transition": "enter", "cause": "moved", "inferred": None, "late": False}
    is_so = all(data.get(name, wanted) == value for name, value in wanted.items())
    return data if is_so and data.get("zone_id") in zone_ids else None


def _sent_us(ledger: Ledger, wanted: set[_Sent]) -> dict[_Sent, int]:
    """Return when each of the fixes was sent for the first time."""
    fixes = ledger.fixes
    rows = fixes[np.isin(fixes["time_us"], [time_us for _, time_us in wanted])]
    of_message = ledger.messages["sent_us"][rows["message"]]
    sent: dict[_Sent, int] = {}
    columns = (rows["tracker"].tolist(), rows["time_us"].tolist(), of_message.tolist())
    for tracker, time_us, sent_us in zip(*columns, strict=True):
        if sent_us and (tracker, time_us) in wanted:
            sent.setdefault((tracker, time_us), sent_us)
    return sent
