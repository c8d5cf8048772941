"""MQTT topics of trackers. The last level says the format: `telemetry.formats.decode.DECODERS`."""


def fixes_topic(tracker_id: str) -> str:
    """Return where a tracker publishes JSON or MessagePack."""
    return f"trackers/{tracker_id}/fixes"


def packed_topic(tracker_id: str) -> str:
    """Return where a tracker publishes packed records."""
    return f"trackers/{tracker_id}/packed"


def punches_topic(tracker_id: str) -> str:
    """Return where a tracker publishes punches."""
    return f"trackers/{tracker_id}/punches"


def ack_topic(tracker_id: str) -> str:
    """Return where a tracker hears what became of its messages, if it wants receipts."""
    return f"trackers/{tracker_id}/ack"


def is_own_filter(wanted: str, tracker_id: str) -> bool:
    """Return whether a tracker may subscribe to a filter: its own topics, and what OwnTracks asks
    for.
    """
    own = f"trackers/{tracker_id}"
    return wanted == own or wanted.startswith((f"{own}/", f"owntracks/{tracker_id}/"))
