"""The messages that trackers with receipts keep until their receipt, and send again when it does
not come.

A message is known by its number, which goes with it as MQTT 5 correlation data.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from device_sim.connections import Outgoing

_NUMBER_BYTES = 8


def correlation_data(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big")


@dataclass(slots=True)
class Kept:
    """A message that was sent."""

    message: Outgoing
    first_sent_s: float
    last_sent_s: float


class Unconfirmed:
    """Sent messages without a receipt. again_s: so long after sending one is sent again."""

    def __init__(self, again_s: float) -> None:
        self._again_s = again_s
        self._kept: OrderedDict[int, Kept] = OrderedDict()  # by the time of the last sending
        self.sent_again = 0

    def __len__(self) -> int:
        return len(self._kept)

    def sent(self, message: Outgoing, now_s: float) -> bool:
        """Note a sending. Returns whether it was the first one."""
        known = self._kept.get(message.number)
        if known is None:
            self._kept[message.number] = Kept(message, now_s, now_s)
            return True
        known.last_sent_s = now_s
        self._kept.move_to_end(message.number)
        self.sent_again += 1
        return False

    def confirmed(self, data: bytes | None) -> Kept | None:
        """Return the message whose receipt this is; None where it has been confirmed before."""
        if data is None or len(data) != _NUMBER_BYTES:
            return None
        return self._kept.pop(int.from_bytes(data, "big"), None)

    def due(self, now_s: float) -> Iterator[Outgoing]:
        """Yield what has to be sent again now, the oldest first; once in each again_s."""
        while self._kept:
            number, kept = next(iter(self._kept.items()))
            if kept.last_sent_s + self._again_s > now_s:
                return
            kept.last_sent_s = now_s
            self._kept.move_to_end(number)
            yield kept.message._replace(is_again=True)
