"""UUIDs numbered in order of appearance: arrays are indexed by the number."""

from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from telemetry.ids import format_id

UNKNOWN = -1


class IdIndex:
    """A number for each UUID, given once and for ever.

    prefix: of their ids as text.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._texts: dict[int, str] = {}
        self._ordinal_of: dict[int, int] = {}  # by the UUID's number, whose hash is quick
        self._ids: list[UUID] = []
        self._bytes = np.empty(0, "V16")

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, ordinal: int) -> UUID:
        return self._ids[ordinal]

    def number(self, uuid: UUID) -> int:
        """Return the number of `uuid`, the next free one where it has none yet."""
        ordinal = self._ordinal_of.setdefault(uuid.int, len(self._ids))
        if ordinal == len(self._ids):
            self._ids.append(uuid)
        return ordinal

    def find(self, uuid: UUID) -> int:
        """Return the number of `uuid`, UNKNOWN where it has none."""
        return self._ordinal_of.get(uuid.int, UNKNOWN)

    def text(self, ordinal: int) -> str:
        """Return the id as text, worked out once."""
        text = self._texts.get(ordinal)
        if text is None:
            text = self._texts[ordinal] = format_id(self._prefix, self._ids[ordinal])
        return text

    def as_bytes(self) -> NDArray[np.void]:
        """Return the 16 bytes of each UUID by number, shape (n,), dtype V16.

        Two threads may ask at once.
        """
        known = self._bytes
        if len(known) < len(self._ids):
            more = b"".join(uuid.bytes for uuid in self._ids[len(known) :])
            self._bytes = known = np.concatenate((known, np.frombuffer(more, "V16")))
        return known
