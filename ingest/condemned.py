"""Messages that the database refuses for ever, found out by trying.

A failure makes batches smaller, down to one message. A message that fails alone ATTEMPTS times with
an error that is about the data, not about a connection, a lock or a resource, is condemned: from
then on it is read as refused, and goes into quarantine. Should the transaction fail even so, it was
not the message, and it is judged anew.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np
import psycopg

from ingest.sources import RawMessage
from telemetry.decoded import Decoded, in_order
from telemetry.rejection import Reason, Rejection

ATTEMPTS = 3
MOST = 1_000  # condemned at a time; the first of more are forgotten, and found out again
DATA_ERRORS = (psycopg.DataError, psycopg.IntegrityError)


class Condemned:
    """What this process has found out; a new one finds it out again."""

    def __init__(self) -> None:
        self._suspect: tuple[bytes, int] = (b"", 0)  # the message that failed last, and how often
        self._details: dict[bytes, str] = {}

    def failed(self, messages: Sequence[RawMessage], error: psycopg.Error) -> None:
        """A batch could not be stored, for an error of DATA_ERRORS."""
        if len(messages) != 1:
            return
        digest = _digest(messages[0])
        if self._details.pop(digest, None) is not None:
            self._suspect = b"", 0
            return
        last, times = self._suspect
        self._suspect = digest, times + 1 if digest == last else 1
        if self._suspect[1] >= ATTEMPTS:
            # The words of the database may name what is not the tenant's; the log has them.
            self._details[digest] = f"{type(error).__name__}, SQLSTATE {error.sqlstate}"
            if len(self._details) > MOST:
                del self._details[next(iter(self._details))]

    def settled(self, messages: Sequence[RawMessage]) -> None:
        """A batch is stored. What was condemned in it is in quarantine, and tried anew if it comes
        again: by then somebody may have mended the cause.
        """
        for number in self.among(messages):
            self._details.pop(_digest(messages[number]), None)

    def among(self, messages: Sequence[RawMessage]) -> Mapping[int, str]:
        """The numbers of those that are condemned, with the reason in words."""
        if not self._details:
            return {}
        digests = [_digest(message) for message in messages]
        return {
            number: self._details[digest]
            for number, digest in enumerate(digests)
            if digest in self._details
        }


def refuse(decoded: Decoded, details: Mapping[int, str]) -> Decoded:
    """`decoded`, with the messages of `details` refused whole."""
    if not details:
        return decoded
    batch = decoded.batch
    kept = ~np.isin(batch.rows["message"], list(details))
    rejections = [r for r in decoded.rejections if r.message not in details]
    rejections += [
        Rejection(number, None, Reason.REFUSED_BY_DATABASE, detail)
        for number, detail in details.items()
    ]
    return Decoded(batch.take(np.flatnonzero(kept)), in_order(rejections))


def _digest(message: RawMessage) -> bytes:
    return sha256(message.topic.encode() + b"\0" + message.payload).digest()
