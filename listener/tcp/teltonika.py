"""Teltonika: packets of records, each answered by how many were accepted.

Over TCP:

    00 0F 333536...   the length of the IMEI and its digits; answered 01, or 00
    a packet          (`telemetry.formats.boxes.teltonika`); answered by the number of its records,
                      in 4 bytes, or by 0: then it is sent again
    a command         Codec 12, framed as a packet: 0C, 01, the type 05, the length, the text, 01;
                      answered by the same with the type 06

Over UDP each datagram has the IMEI, and the data of a packet alone:

    00 A1, CA FE, 01   the length of what follows, a number of the datagram, and a byte
    1B                 a number of the packet
    00 0F 333536...    the IMEI
    08 01 ... 01       the data
    00 05, CA FE, 01, 1B, 01   the answer: with both numbers, how many records were accepted

The maker's description: https://wiki.teltonika-gps.com/view/Codec.
"""

from struct import Struct

from listener.tcp.protocol import (
    SAMPLE_BYTES,
    Answer,
    Damaged,
    Event,
    Login,
    NoProtocol,
    Packet,
    Received,
    answer_of,
)
from telemetry.formats.boxes.crc import crc_16
from telemetry.topics import teltonika_imei_topic

MAX_DATA_BYTES = 16 * 1024
"""The maker's devices send 1,280 bytes at most."""
_IMEI_DIGITS = 15
_HEAD = Struct(">II")
_LEAST_DATA_BYTES = 3
_CRC_BYTES = 4
_PING = 0xFF
_CHANNEL, _ACCEPTED = Struct(">HHBBH"), Struct(">HHBBB")
_COMMANDS = Struct(">BBBI")
_CODEC_12, _COMMAND, _ANSWER = 0x0C, 0x05, 0x06


class Teltonika(Received):
    """The bytes of one connection."""

    name = "teltonika"

    def __init__(self) -> None:
        super().__init__()
        self._has_login = False

    def topic(self, tracker_id: str) -> str:
        return teltonika_imei_topic(tracker_id)

    def next(self) -> Event | None:
        """Return what was received next. Raises NoProtocol."""
        return self._packet() if self._has_login else self._login()

    def _login(self) -> Login | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if int.from_bytes(buffer[:2]) != _IMEI_DIGITS:
            raise NoProtocol("no IMEI")
        if len(buffer) < 2 + _IMEI_DIGITS:
            return None
        imei = self._cut(2 + _IMEI_DIGITS)[2:].decode("ascii", "replace")
        self._has_login = True
        return Login(imei, answer=b"\x01", refusal=b"\x00")

    def command(self, text: str) -> bytes:
        head = _COMMANDS.pack(_CODEC_12, 1, _COMMAND, len(text))
        data = head + text.encode("ascii") + b"\x01"
        return _HEAD.pack(0, len(data)) + data + crc_16(data).to_bytes(_CRC_BYTES)

    def _packet(self) -> Packet | Damaged | Answer | None:
        buffer = self._buffer
        while buffer and buffer[0] == _PING:
            del buffer[0]
        if len(buffer) < _HEAD.size:
            return None
        preamble, length = _HEAD.unpack_from(buffer)
        if preamble or not _LEAST_DATA_BYTES <= length <= MAX_DATA_BYTES:
            raise NoProtocol("no packet")
        if len(buffer) < _HEAD.size + length + _CRC_BYTES:
            return None
        packet = self._cut(_HEAD.size + length + _CRC_BYTES)
        data, crc = packet[_HEAD.size : -_CRC_BYTES], packet[-_CRC_BYTES:]
        if crc_16(data) != int.from_bytes(crc):
            return Damaged(packet, answer=bytes(4))
        whole = Packet(packet, answer=data[1].to_bytes(4))
        if data[0] == _CODEC_12 and data[2] == _ANSWER:
            return answer_of(data[_COMMANDS.size : -1])._replace(unasked=whole)
        return whole

    def _cut(self, size: int) -> bytes:
        cut = bytes(self._buffer[:size])
        del self._buffer[:size]
        return cut


class TeltonikaDatagram:
    """The bytes of one datagram."""

    name = "teltonika"
    command = None

    def __init__(self) -> None:
        self._buffer = b""
        self._has_login = False

    @property
    def held_bytes(self) -> int:
        return len(self._buffer)

    @property
    def sample(self) -> bytes:
        return self._buffer[:SAMPLE_BYTES]

    def topic(self, tracker_id: str) -> str:
        return teltonika_imei_topic(tracker_id)

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Login | Packet | None:
        """Return the IMEI, then the packet. Raises NoProtocol."""
        datagram = self._buffer
        if not datagram:
            return None
        begin = _CHANNEL.size + _IMEI_DIGITS
        if len(datagram) < begin + _LEAST_DATA_BYTES:
            raise NoProtocol("no datagram")
        length, number, _, packet_number, digits = _CHANNEL.unpack_from(datagram)
        if length != len(datagram) - 2 or digits != _IMEI_DIGITS:
            raise NoProtocol("no datagram")
        if not self._has_login:
            self._has_login = True
            imei = datagram[_CHANNEL.size : begin].decode("ascii", "replace")
            return Login(imei, answer=b"")
        self._buffer = b""
        data = datagram[begin:]
        answer = _ACCEPTED.pack(_ACCEPTED.size - 2, number, 1, packet_number, data[1])
        packet = _HEAD.pack(0, len(data)) + data + crc_16(data).to_bytes(_CRC_BYTES)
        return Packet(packet, answer)
