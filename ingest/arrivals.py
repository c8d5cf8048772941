"""Messages taken from the broker together, decoded once, whatever becomes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mqtt import Message
from telemetry.decode import Decoded, decode
from telemetry.topics import Format, parse_topic


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages in order of receipt, and what their payloads say.

    received_us: when they were taken, microseconds since 1970.
    """

    messages: Sequence[Message]
    decoded: Decoded
    received_us: int


def read(messages: Sequence[Message], received_us: int) -> Arrivals:
    """Decodes `messages`; who sent them is not asked yet."""
    formats = [_format(message.topic) for message in messages]
    decoded = decode([message.payload for message in messages], formats)
    return Arrivals(messages, decoded, received_us)


def _format(topic: str) -> Format:
    parsed = parse_topic(topic)
    return Format.NATIVE if parsed is None else parsed[1]
