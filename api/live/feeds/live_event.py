"""One event, encoded once for all who read it."""

from uuid import UUID

import msgspec

from api.live.frames import text_frame
from api.request.event_envelope import event_item
from db.history.events import ListedEvent

_COPIES = 3  # its JSON, its frame and its chunk
_OBJECTS_BYTES = 400  # of the event and its three byte strings, beside their contents

_encoder = msgspec.json.Encoder()


class LiveEvent:
    """An event with its JSON. The frame of WebSocket and the chunk of SSE are made when they are
    first asked for, and kept.
    """

    __slots__ = ("_chunk", "_frame", "about_hours_of", "content", "seq", "type")

    def __init__(self, org_id: UUID, row: ListedEvent) -> None:
        self.seq = row.seq
        self.type = row.type
        self.about_hours_of = row.about_hours_of
        content = _encoder.encode(event_item(org_id, row))
        # A line break can only stand between the values of JSON. In SSE it would end the field.
        self.content = content.replace(b"\r", b" ").replace(b"\n", b" ")
        self._frame: bytes | None = None
        self._chunk: bytes | None = None

    def is_wanted(self, types: frozenset[str] | None, hours_of: str | None) -> bool:
        """Return whether it is of the types (None: all), and about no hours but those of an
        employee (None: of everybody).
        """
        return (types is None or self.type in types) and (
            hours_of is None or self.about_hours_of in (None, hours_of)
        )

    @property
    def size(self) -> int:
        """The bytes of its JSON."""
        return len(self.content)

    @property
    def memory_bytes(self) -> int:
        """The bytes of memory that it needs at most, frame and chunk included."""
        return _OBJECTS_BYTES + _COPIES * len(self.content)

    @property
    def frame(self) -> bytes:
        """A whole frame of WebSocket."""
        if self._frame is None:
            self._frame = text_frame(b'{"op":"event","event":' + self.content + b"}")
        return self._frame

    @property
    def chunk(self) -> bytes:
        """A message of SSE."""
        if self._chunk is None:
            self._chunk = b"id: %d\ndata: %b\n\n" % (self.seq, self.content)
        return self._chunk
