"""GT06 over TCP: a login, heartbeats, positions and alarms (`telemetry.formats.boxes.gt06`).

Login, heartbeat and alarm are answered, by a frame of their kind and serial number; positions are
not. A text is the answer to a command. Other frames (cells, further information) are read past.
"""

from listener.tcp.protocol import (
    Answer,
    Damaged,
    Event,
    Login,
    NoProtocol,
    Packet,
    Question,
    Received,
    answer_of,
)
from telemetry.formats.boxes.gt06 import (
    ALARMS,
    HEARTBEATS,
    LOGIN,
    LONG_TEXT,
    POSITIONS,
    TEXT,
    Frame,
    FrameError,
    answer_to,
    command_of,
    frame_bytes,
    imei_of,
    read_frame,
)
from telemetry.topics import gt06_topic

_END = b"\r\n"
_FLAG_BYTES = 4
_IS_UTF_16 = 2


class Gt06(Received):
    """The bytes of one connection."""

    name = "gt06"

    def __init__(self) -> None:
        super().__init__()
        self._login = b""

    def topic(self, tracker_id: str) -> str:
        return gt06_topic(tracker_id)

    def command(self, text: str) -> bytes:
        return command_of(text)

    def next(self) -> Event | None:
        """Return what was received next. Raises NoProtocol."""
        while (data := self._next_frame()) is not None:
            try:
                frame = read_frame(data)
            except FrameError:
                if data[-2:] != _END:
                    raise NoProtocol("no frame") from None
                return Damaged(answer=b"")
            if (event := self._event(frame, data)) is not None:
                return event
        return None

    def _next_frame(self) -> bytes | None:
        try:
            size = frame_bytes(self._buffer[:4])
        except FrameError as error:
            raise NoProtocol(str(error)) from None
        if size is None or len(self._buffer) < size:
            return None
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _event(self, frame: Frame, data: bytes) -> Event | None:
        if frame.kind == LOGIN:
            self._login = data
            return Login(imei_of(frame), answer_to(frame))
        if not self._login:
            raise NoProtocol("no login")
        if frame.kind in HEARTBEATS:
            return Question(answer_to(frame))
        if frame.kind in POSITIONS:
            return Packet(self._login + data, answer=b"")
        if frame.kind in ALARMS:
            return Packet(self._login + data, answer_to(frame))
        return _answer(frame)


def _answer(frame: Frame) -> Answer | None:
    """Return what a device says to a command: a length, four bytes of the server and the text; in
    newer ones the four bytes, 1 for ASCII or 2 for UTF-16, and the text.
    """
    content = frame.content
    if frame.kind == TEXT and content:
        return answer_of(content[1 + _FLAG_BYTES : 1 + content[0]])
    if frame.kind == LONG_TEXT and len(content) > _FLAG_BYTES:
        encoding = "utf-16-be" if content[_FLAG_BYTES] == _IS_UTF_16 else "utf-8"
        return answer_of(content[_FLAG_BYTES + 1 :], encoding)
    return None
