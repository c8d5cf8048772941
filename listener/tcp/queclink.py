"""Queclink in ASCII over TCP: reports that each say the IMEI, from `+` to `$`.

Each report is answered by `+SACK:` and its number, after COMMIT, and a heartbeat by `+SACK:GTHBD`.
A device whose SACK is off reads past that, and repeats nothing. What a device says of commands is
counted.
"""

from listener.tcp.protocol import Counted, Event, Login, NoProtocol, Packet, Question, Received
from telemetry.formats.boxes.queclink import HEAD
from telemetry.topics import queclink_topic

MAX_FRAME_BYTES = 4 * 1024
_BETWEEN = b"\0\r\n "
_HEARTBEAT = b"GTHBD"


class Queclink(Received):
    """The bytes of one connection."""

    name = "queclink"
    command = None

    def __init__(self) -> None:
        super().__init__()
        self._imei = ""

    def topic(self, tracker_id: str) -> str:
        return queclink_topic(tracker_id)

    def next(self) -> Event | None:
        """Return what was received next. Raises NoProtocol."""
        if (size := self._frame_bytes()) is not None:
            frame = bytes(self._buffer[:size])
            head = HEAD.match(frame)
            if head is None:
                raise NoProtocol("no report")
            imei = head[4].decode()
            if imei != self._imei:  # of the first report; it is read once the device is known
                self._imei = imei
                return Login(imei, answer=b"")
            del self._buffer[:size]
            kind, report, version, _ = head.groups()
            number = frame[:-1].rpartition(b",")[2]
            if kind != b"ACK":
                return Packet(frame, b"+SACK:" + number + b"$")
            if report == _HEARTBEAT:
                return Question(b"+SACK:" + _HEARTBEAT + b"," + version + b"," + number + b"$")
            return Counted("ACK")
        return None

    def _frame_bytes(self) -> int | None:
        """Return the length of the next frame, None while it has no end. Raises NoProtocol."""
        buffer = self._buffer
        while buffer and buffer[0] in _BETWEEN:
            del buffer[0]
        end = buffer.find(b"$", 0, MAX_FRAME_BYTES)
        if buffer[:1] not in (b"", b"+") or (end < 0 and len(buffer) >= MAX_FRAME_BYTES):
            raise NoProtocol("no report")
        return None if end < 0 else end + 1
