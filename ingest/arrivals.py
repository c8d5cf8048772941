"""Messages taken from a source together, decoded once, whatever becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from ingest.condemned import refuse
from ingest.sources import RawMessage
from telemetry.decode import ANCIENT_BEFORE_US, Decoded, decode
from telemetry.topics import format_of


class Before(NamedTuple):
    """Earlier batches' part of a message: how many fixes they stored, how many of those belong to
    no asset, why they refused others."""

    stored: int
    unassigned: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages in order of receipt, and what their payloads say.

    received_us: when they were taken, microseconds since 1970.
    oldest_us: fixes of before are not kept.
    histories: what the database said about fixes that may have a wrong clock (`ingest.clocks`).
    before: of the first messages, which an earlier batch left over in part (`ingest.leftovers`).
    """

    messages: Sequence[RawMessage]
    decoded: Decoded
    received_us: int
    oldest_us: int = ANCIENT_BEFORE_US
    histories: dict[tuple[int, int], bool] = field(default_factory=dict)
    before: Sequence[Before] = ()


def read(
    messages: Sequence[RawMessage],
    received_us: int,
    oldest_us: int = ANCIENT_BEFORE_US,
    condemned: Mapping[int, str] = MappingProxyType({}),
) -> Arrivals:
    """Decodes `messages`; who sent them is not asked yet.

    condemned: the numbers of messages that are refused whatever they say (`ingest.condemned`).
    """
    formats = [format_of(message.topic) for message in messages]
    decoded = decode([message.payload for message in messages], formats)
    return Arrivals(messages, refuse(decoded, condemned), received_us, oldest_us)
