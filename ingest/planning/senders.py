"""Senders of the messages of a batch: message -> sender -> tracker of each fix, all at once.

The sender of a message is the tracker that signed in, else the tracker whose topic it is. A fix is
of the sender itself, or of another device that the message names.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.id_index import UNKNOWN
from ingest.registry.registry import Registry
from ingest.sources.source import RawMessage
from telemetry.fix import SENDER
from telemetry.rejection import Reason, Rejection


def senders_of(messages: Sequence[RawMessage], registry: Registry) -> NDArray[np.int32]:
    """Return the tracker that sent each message, UNKNOWN where there is none. Shape (n,)."""
    found = [
        registry.tracker_of_topic(message.topic)
        if (identity := message.identity) is None
        else registry.trackers.find(identity)
        for message in messages
    ]
    return np.array(found, np.int32)


def organizations_of(messages: Sequence[RawMessage], registry: Registry) -> NDArray[np.int32]:
    """Return the organization that sent each message, UNKNOWN where there is none. Shape (n,)."""
    return registry.organizations_of(senders_of(messages, registry))


def trackers_of(rows: NDArray[np.void], senders: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the tracker of each fix (FIX_DTYPE), UNKNOWN where there is none. Shape (n,).

    No format names other devices than the sender yet, so all others are unknown.
    """
    trackers = senders[rows["message"]]
    trackers[rows["device"] != SENDER] = UNKNOWN
    return trackers


def refused_senders(
    messages: Sequence[RawMessage], senders: NDArray[np.int32], registry: Registry
) -> dict[int, Rejection]:
    """Return by number the messages that are refused whole, because of who sent them."""
    refused: dict[int, Rejection] = {}
    for number, (message, tracker) in enumerate(zip(messages, senders.tolist(), strict=True)):
        on_topic = registry.tracker_of_topic(message.topic)
        if tracker == UNKNOWN or tracker != on_topic or registry.is_revoked(tracker):
            reason, detail = _why(message, tracker, on_topic, registry)
            refused[number] = Rejection(number, None, reason, detail)
    return refused


def _why(
    message: RawMessage, tracker: int, on_topic: int, registry: Registry
) -> tuple[Reason, str]:
    if tracker == UNKNOWN:
        named_by = "topic" if message.identity is None else "id"
        return Reason.UNKNOWN_TRACKER, f"no tracker has this {named_by}"
    if registry.is_revoked(tracker):
        return Reason.REVOKED_TRACKER, "the tracker's registration was revoked"
    whose = "no tracker" if on_topic == UNKNOWN else "another tracker"
    return Reason.WRONG_TOPIC, f"the topic belongs to {whose}: a tracker publishes on its own topic"
