"""H02 over TCP or UDP: sentences that each say the device's id, from `*` to `#`.

A V1, which is a position, is answered by `V4,V1` and the time, after COMMIT; NBR, which is of
cells, likewise; a heartbeat (HTBT, V0) by itself. Devices do not wait for the answer to a position,
and do not send it again. Cells (V3) and states (LINK) are counted; all others are messages.
"""

from collections.abc import Callable
from datetime import datetime

from listener.tcp.protocol import Counted, Event, Login, NoProtocol, Packet, Question, Received
from telemetry.formats.boxes.h02 import HEAD, WITHOUT_POSITION
from telemetry.topics import h02_topic

MAX_FRAME_BYTES = 2 * 1024
_BETWEEN = b"\0\r\n "
_HEARTBEATS = frozenset({b"HTBT", b"V0"})
_ANSWERED = frozenset({b"V1", b"NBR"})


class H02(Received):
    """The bytes of one connection, or of one datagram. now: in UTC, which answers say."""

    name = "h02"
    command = None

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self._device_id = ""

    def topic(self, tracker_id: str) -> str:
        return h02_topic(tracker_id)

    def next(self) -> Event | None:
        """Return what was received next. Raises NoProtocol."""
        if (size := self._frame_bytes()) is not None:
            frame = bytes(self._buffer[:size])
            head = HEAD.match(frame)
            device_id = self._device_id if head is None else head[2].decode() or self._device_id
            if head is None or not device_id:
                raise NoProtocol("no sentence, or nobody's")
            if device_id != self._device_id:
                self._device_id = device_id
                return Login(device_id, answer=b"")
            del self._buffer[:size]
            kind = head[3]
            if kind in _HEARTBEATS:
                return Question(head[0] + b"#")
            answer = self._confirmed(head[1], kind) if kind in _ANSWERED else b""
            if kind.decode() not in WITHOUT_POSITION:
                return Packet(frame, answer, is_repeated=False)
            return Question(answer) if answer else Counted(kind.decode())
        return None

    def _confirmed(self, maker: bytes, kind: bytes) -> bytes:
        said = f"{self._device_id},V4,{kind.decode()},{self._now():%Y%m%d%H%M%S}"
        return b"*%b,%b#" % (maker, said.encode())

    def _frame_bytes(self) -> int | None:
        """Return the length of the next sentence, None while it has no end. Raises NoProtocol."""
        buffer = self._buffer
        while buffer and buffer[0] in _BETWEEN:
            del buffer[0]
        end = buffer.find(b"#", 0, MAX_FRAME_BYTES)
        if buffer[:1] not in (b"", b"*") or (end < 0 and len(buffer) >= MAX_FRAME_BYTES):
            raise NoProtocol("no sentence")
        return None if end < 0 else end + 1
