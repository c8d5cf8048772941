"""MQTT topics on which fixes arrive, and the format each topic says."""

from enum import IntEnum

SUBSCRIPTIONS = ("trackers/+/fixes", "trackers/+/packed")


class Format(IntEnum):
    """The format of a message's payload."""

    NATIVE = 0  # JSON where the first byte after blanks is { or [, else MessagePack
    PACKED = 1  # 32-byte records


_FORMAT_OF = {"fixes": Format.NATIVE, "packed": Format.PACKED}


def parse_topic(topic: str) -> tuple[str, Format] | None:
    """Return the tracker id, as text that nobody has checked yet, and the format; None: not our
    topic.
    """
    levels = topic.split("/", 3)
    if len(levels) != 3 or levels[0] != "trackers" or not levels[1]:
        return None
    payload_format = _FORMAT_OF.get(levels[2])
    return None if payload_format is None else (levels[1], payload_format)


def format_of(topic: str) -> Format:
    """Return the format that a topic says; its last level alone is looked at."""
    return Format.PACKED if topic.endswith("/packed") else Format.NATIVE


def fixes_topic(tracker_id: str) -> str:
    """Return the topic on which a tracker publishes JSON or MessagePack."""
    return f"trackers/{tracker_id}/fixes"


def packed_topic(tracker_id: str) -> str:
    """Return the topic on which a tracker publishes packed records."""
    return f"trackers/{tracker_id}/packed"


def ack_topic(tracker_id: str) -> str:
    """Return the topic on which a tracker receives its receipts, if it wants any."""
    return f"trackers/{tracker_id}/ack"


def is_own_filter(wanted: str, tracker_id: str) -> bool:
    """Return whether a tracker may subscribe to a filter: its own topics, and what OwnTracks asks
    for.
    """
    own = f"trackers/{tracker_id}"
    return wanted == own or wanted.startswith((f"{own}/", f"owntracks/{tracker_id}/"))
