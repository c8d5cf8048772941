"""What one tracker sends, decoded, in the log, for whoever sets its device up.

The setting OPSC_LISTEN_SHOW names it.
"""

from collections.abc import Callable
from itertools import islice
from uuid import UUID

import structlog

from listener.link.outbox import DeviceMessage, Origin
from telemetry.formats.decode import DECODERS, format_of
from telemetry.formats.described import described

MOST_SHOWN = 20
"""Fixes, punches and refusals of a message that are logged."""

_log = structlog.get_logger("listener")


def showing(tracker_id: UUID) -> Callable[[Origin, DeviceMessage], None]:
    """Return a function that logs each message of the tracker, whether it will be stored or not."""

    def show(origin: Origin, message: DeviceMessage) -> None:
        if origin.tracker_id != tracker_id:
            return
        payload_format = format_of(message.topic)
        decoded = DECODERS[payload_format].decode([message.payload])
        facts = {"topic": message.topic, "payload_bytes": len(message.payload)}
        _log.info("message of the shown tracker", format=payload_format.name.lower(), **facts)
        for what, fields in islice(described(decoded), MOST_SHOWN):
            _log.info(f"in it: {what}", **fields)

    return show
