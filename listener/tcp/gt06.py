"""GT06 over TCP: a login, heartbeats, positions and alarms (`telemetry.formats.boxes.gt06`).

Login, heartbeat and alarm are answered, by a frame of their kind and serial number, and a request
for the time by the time; positions are not. A text is the answer to a command. Cells and further
information are counted. All others are messages, whatever they are: the decoder knows what to do.
"""

from collections.abc import Callable
from datetime import datetime

from listener.tcp.protocol import (
    Answer,
    Counted,
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
    MAX_SHORT_BYTES,
    TEXT,
    TIME,
    WITHOUT_POSITION,
    Frame,
    FrameError,
    answer_to,
    command_of,
    frame_bytes,
    imei_of,
    read_frame,
    time_answer,
)
from telemetry.topics import gt06_topic

_END = b"\r\n"
_NO_LENGTH = b"\x78\x78\0"
"""Begins a list of networks that some devices send without a length."""
_FLAG_BYTES = 4
_IS_UTF_16 = 2


class Gt06(Received):
    """The bytes of one connection. now: in UTC, which answers say."""

    name = "gt06"

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now
        self._login = b""

    def topic(self, tracker_id: str) -> str:
        return gt06_topic(tracker_id)

    def command(self, text: str) -> bytes:
        return command_of(text)

    def next(self) -> Event | None:
        """Return what was received next. Raises NoProtocol."""
        data = self._next_frame()
        if data is None:
            return None
        if self._login and data.startswith(_NO_LENGTH):
            return Packet(self._login + data, answer=b"")
        try:
            frame = read_frame(data)
        except FrameError:
            if data[-2:] != _END:
                raise NoProtocol("no frame") from None
            return Damaged(data, answer=b"")
        return self._event(frame, data)

    def _next_frame(self) -> bytes | None:
        try:
            size = self._size()
        except FrameError as error:
            raise NoProtocol(str(error)) from None
        if size is None or len(self._buffer) < size:
            return None
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _size(self) -> int | None:
        """Return the length of the next frame, None while it is not known. Raises FrameError."""
        buffer = self._buffer
        if not buffer.startswith(_NO_LENGTH):
            return frame_bytes(buffer[:4])
        end = buffer.find(_END, len(_NO_LENGTH), MAX_SHORT_BYTES)
        if end < 0 and len(buffer) >= MAX_SHORT_BYTES:
            raise FrameError("a frame without length and end")
        return None if end < 0 else end + len(_END)

    def _event(self, frame: Frame, data: bytes) -> Event:
        if frame.kind == LOGIN:
            self._login = data
            return Login(imei_of(frame), answer_to(frame))
        if not self._login:
            raise NoProtocol("no login")
        if frame.kind in HEARTBEATS:
            return Question(answer_to(frame))
        if frame.kind == TIME:
            return Question(time_answer(frame, self._now()))
        if frame.kind in WITHOUT_POSITION:
            return Counted(f"{frame.kind:02x}")
        whole = Packet(self._login + data, answer_to(frame) if frame.kind in ALARMS else b"")
        answer = _answer(frame)
        return whole if answer is None else answer._replace(unasked=whole)


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
