"""The ledger of a fleet: each fix in the order of sending, and what became of it.

A fix whose message is acknowledged must be found in the system, or in quarantine. One whose message
was sent and never acknowledged may be there or not; it proves nothing, unless nobody waits for an
acknowledgement: the message had QoS 0, or was thrown away with the session of its device. One that
was never sent must not be there.

Acknowledged is what the broker has acknowledged or, for trackers with receipts, what there is a
receipt for.

Memory is about 80 bytes a fix and 50 a message: a ledger is for runs that end.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.connections import OutgoingMessage
from telemetry.fix import FIX_DTYPE, FixBatch

_NUMBER_BYTES = 8


def correlation_data(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big")


@dataclass(slots=True)
class SentMessage:
    message: OutgoingMessage
    first_sent_s: float
    last_sent_s: float


class Unconfirmed:
    """Sent messages without a receipt. again_s: so long after sending one is sent again."""

    def __init__(self, again_s: float) -> None:
        self._again_s = again_s
        self._kept: OrderedDict[int, SentMessage] = OrderedDict()  # by the time of the last sending
        self.sent_again = 0

    def __len__(self) -> int:
        return len(self._kept)

    def sent(self, message: OutgoingMessage, now_s: float) -> bool:
        """Note a sending. Returns whether it was the first one."""
        known = self._kept.get(message.number)
        if known is None:
            self._kept[message.number] = SentMessage(message, now_s, now_s)
            return True
        known.last_sent_s = now_s
        self._kept.move_to_end(message.number)
        self.sent_again += 1
        return False

    def confirmed(self, data: bytes | None) -> SentMessage | None:
        """Return the message whose receipt this is; None where it has been confirmed before."""
        if data is None or len(data) != _NUMBER_BYTES:
            return None
        return self._kept.pop(int.from_bytes(data, "big"), None)

    def due(self, now_s: float) -> Iterator[OutgoingMessage]:
        """Yield what has to be sent again now, the oldest first; once in each again_s."""
        while self._kept:
            number, kept = next(iter(self._kept.items()))
            if kept.last_sent_s + self._again_s > now_s:
                return
            kept.last_sent_s = now_s
            self._kept.move_to_end(number)
            yield kept.message._replace(is_again=True)


MESSAGE_DTYPE = np.dtype(
    [
        ("tracker", "<i4"),  # position of the tracker in the fleet
        ("first", "<i8"),  # its first fix: row number in the ledger
        ("fixes", "<i4"),
        ("is_whole", "?"),  # not truncated
        ("digest", "<i8"),  # of its content: equal where it is the same
        ("sent_us", "<i8"),  # for the first time; since 1970, 0 = not sent
        ("is_repeated", "?"),  # sent again, for want of a receipt
        ("acknowledged_us", "<i8"),  # since 1970, 0 = not acknowledged
        ("may_be_lost", "?"),  # sent with QoS 0, or thrown away with a session that was lost
    ]
)
_FIRST_CAPACITY = 1024


class Ledger:
    """Grows by `plan`; `sent` and `acknowledged` note what became of a message by its number.

    The messages of one tracker stand in the order in which they are sent.
    """

    def __init__(self) -> None:
        self._fixes = np.zeros(_FIRST_CAPACITY, FIX_DTYPE)
        self._messages = np.zeros(_FIRST_CAPACITY, MESSAGE_DTYPE)
        self._fix_count = 0
        self._message_count = 0
        self._newest_sent: int | None = None

    def plan(
        self,
        fixes: FixBatch,
        lengths: NDArray[np.int64],
        contents: Sequence[bytes] | None = None,
        is_whole: NDArray[np.bool_] | None = None,
    ) -> int:
        """Add messages that are to be sent; message k holds the next `lengths[k]` fixes of `fixes`.

        contents: the bytes of each. is_whole: which of them are not truncated; all, unless given.

        Returns the number of the first of them.
        """
        first_fix, first_message = self._fix_count, self._message_count
        self._fix_count += len(fixes)
        self._message_count += len(lengths)
        self._fixes = _with_room(self._fixes, self._fix_count)
        self._messages = _with_room(self._messages, self._message_count)
        rows = self._fixes[first_fix : self._fix_count]
        rows[:] = fixes.rows
        rows["message"] = np.repeat(np.arange(first_message, self._message_count), lengths)
        messages = self._messages[first_message : self._message_count]
        starts = np.cumsum(lengths) - lengths
        messages["tracker"] = fixes.rows["tracker"][starts]
        messages["first"] = first_fix + starts
        messages["fixes"] = lengths
        messages["is_whole"] = True if is_whole is None else is_whole
        if contents is not None:
            messages["digest"] = [hash(content) for content in contents]
        return first_message

    def sent(self, message: int, at_us: int) -> None:
        self._messages["sent_us"][message] = at_us
        self._newest_sent = message

    def sent_again(self, message: int) -> None:
        self._messages["is_repeated"][message] = True

    def acknowledged(self, message: int, at_us: int) -> None:
        self._messages["acknowledged_us"][message] = at_us

    def may_be_lost(self, message: int) -> None:
        """Note that nobody waits for the acknowledgement of a message."""
        self._messages["may_be_lost"][message] = True

    @property
    def fixes(self) -> NDArray[np.void]:
        """All planned fixes, FIX_DTYPE; rows["message"] is the row number in `messages`."""
        return self._fixes[: self._fix_count]

    @property
    def messages(self) -> NDArray[np.void]:
        """All planned messages, MESSAGE_DTYPE."""
        return self._messages[: self._message_count]

    @property
    def newest_sent(self) -> int | None:
        """The row number of the message that was sent last, None before the first."""
        return self._newest_sent

    def doubtful_trackers(self) -> set[int]:
        """Return the trackers of whose messages some may be lost."""
        messages = self.messages
        return set(messages["tracker"][messages["may_be_lost"]].tolist())

    def repeating_trackers(self) -> set[int]:
        """Return the trackers that sent a message again: what they sent may have arrived in another
        order.
        """
        messages = self.messages
        return set(messages["tracker"][messages["is_repeated"]].tolist())

    def acknowledged_fixes(self) -> NDArray[np.void]:
        """Return the fixes whose messages the broker acknowledged, each tracker's in order of
        sending.
        """
        return self._of_messages(self.messages["acknowledged_us"] > 0)

    def unsettled_fixes(self) -> NDArray[np.void]:
        """Return the fixes that were sent, waited for and never acknowledged: they
        prove nothing.
        """
        messages = self.messages
        is_open = (messages["acknowledged_us"] == 0) & ~messages["may_be_lost"]
        return self._of_messages(is_open & (messages["sent_us"] > 0))

    def doubtful_fixes(self) -> NDArray[np.void]:
        """Return the fixes that may be lost: sent, and nobody waits for their acknowledgement."""
        return self._of_messages(self.messages["may_be_lost"])

    def arrived_fixes(self, doubtful: Sequence[int]) -> NDArray[np.void]:
        """Return the acknowledged fixes and those of some doubtful messages, in order
        of sending.
        """
        chosen = self.messages["acknowledged_us"] > 0
        chosen[list(doubtful)] = True
        return self._of_messages(chosen)

    def _of_messages(self, chosen: NDArray[np.bool_]) -> NDArray[np.void]:
        fixes = self.fixes
        return fixes[chosen[fixes["message"]]]


def _with_room(array: NDArray[np.void], wanted: int) -> NDArray[np.void]:
    if wanted <= len(array):
        return array
    grown = np.zeros(max(wanted, 2 * len(array)), array.dtype)
    grown[: len(array)] = array
    return grown
