"""The seam between a protocol and its connection.

A protocol is a machine without I/O: `receive` takes bytes in any pieces, and `next` gives what they
say, one event at a time, so that the connection stops where it has no room for more. What is held
is at most a frame and what was received since.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Login(NamedTuple):
    """A device says who it is. answer: that it may send; refusal: that it may not."""

    imei: str
    answer: bytes
    refusal: bytes = b""


class Packet(NamedTuple):
    """A message for ingest. answer: due after COMMIT; empty where the protocol has none.
    is_repeated: the device sends it again until it hears the answer.
    """

    payload: bytes
    answer: bytes
    is_repeated: bool = True

    @property
    def qos(self) -> int:
        """Return 0 for what the device will not send again, as for MQTT."""
        return 1 if self.answer and self.is_repeated else 0


class Question(NamedTuple):
    """Something that is answered where the device may go on to send."""

    answer: bytes


class Damaged(NamedTuple):
    """A frame that did not arrive as it was sent. answer: that it is to be sent again."""

    frame: bytes
    answer: bytes


class Counted(NamedTuple):
    """Something without a position that is no message: it is counted, by its kind. kind: one of
    few, which the protocol knows.
    """

    kind: str


class Answer(NamedTuple):
    """The text that a device says to a command. unasked: the message that it is where no command
    was sent; None: none.
    """

    text: str
    unasked: Packet | None = None


class NoProtocol(Exception):
    """Bytes of which nobody can say where the next frame begins."""


Event = Login | Packet | Question | Damaged | Answer | Counted
SAMPLE_BYTES = 256


class DeviceProtocol(Protocol):
    """The bytes of one connection. name: in metrics. command: returns the frame of a command, of up
    to 200 printable characters of ASCII; None where the protocol has none.
    """

    name: str

    @property
    def command(self) -> Callable[[str], bytes] | None: ...

    @property
    def held_bytes(self) -> int: ...

    @property
    def sample(self) -> bytes:
        """Return the begin of what is held."""
        ...

    def topic(self, tracker_id: str) -> str:
        """Return the topic of a tracker's messages."""
        ...

    def receive(self, data: bytes) -> None: ...

    def next(self) -> Event | None:
        """Return the next event; None: more bytes are needed. Raises NoProtocol."""
        ...


class Received:
    """The bytes that were received and that nobody has read yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def held_bytes(self) -> int:
        return len(self._buffer)

    @property
    def sample(self) -> bytes:
        return bytes(self._buffer[:SAMPLE_BYTES])

    def receive(self, data: bytes) -> None:
        self._buffer += data


def answer_of(data: bytes, encoding: str = "utf-8") -> Answer:
    """Return what the bytes of an answer say: text, or hexadecimal where they are none."""
    try:
        text = data.decode(encoding).strip("\0\r\n ")
    except UnicodeDecodeError:
        return Answer(data.hex())
    is_text = all(line.isprintable() for line in text.replace("\t", " ").splitlines())
    return Answer(text if is_text else data.hex())
