"""The server's machine as a script has it: its bound, and the plain reading beside it.

`Machine` gets a device's bytes in pieces of any size, and holds no more than its options allow.
`Checked` gets them packet by packet and is held against `reference`: which messages are handed out,
which answers leave and in which order, what ends the connection. It raises nothing but `Ended`.
"""

import mqtt5

from mqtt.server import (
    Connect,
    Ended,
    Event,
    Goodbye,
    Publish,
    Receipts,
    ServerConnection,
    ServerOptions,
    ServerState,
)
from tests.fuzz.reference import (
    PUBACK,
    PUBLISH,
    PUBREL,
    Answer,
    Bad,
    Ledger,
    Publishes,
    check_shape,
    content_range,
    read_answers,
)
from tests.mqtt.server.packets import ACK, is_own, string

ENDINGS = (ServerState.ENDING, ServerState.ENDED)
LENGTH_MAX_BYTES = 5
"""The first byte of a packet and its length."""


class Log:
    """The log of what one machine did since it was asked last."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.output = b""
        self.end: tuple[int, str] | None = None

    def taken(self) -> tuple[list[Event], bytes, tuple[int, str] | None]:
        said = (self.events, self.output, self.end)
        self.events, self.output = [], b""
        return said


class Machine:
    """A machine, and the bound on what it holds."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.connection = ServerConnection(options, 0.0)
        self.log = Log()
        self.handed_out = 0

    def receive(self, data: bytes, now_s: float, *, is_read: bool = True) -> list[Event]:
        events: list[Event] = []
        try:
            events += self.connection.receive(data, now_s)
        except Ended as ended:
            events += ended.events
            self.log.end = (ended.reason_code, ended.text)
            assert self.connection.state in ENDINGS
        self.log.events += events
        self.handed_out += sum(isinstance(event, Publish) for event in events)
        self._check_bound()
        if is_read:
            self.read()
        return events

    def read(self) -> None:
        """Take the output."""
        self.log.output += self.connection.output()

    def tick(self, now_s: float) -> None:
        try:
            self.connection.tick(now_s)
        except Ended as ended:
            self.log.end = (ended.reason_code, ended.text)

    def _check_bound(self) -> None:
        options = self.options
        bounds = {
            ServerState.WAITING: options.max_head_bytes + LENGTH_MAX_BYTES,
            ServerState.SIGNING_IN: options.waiting_max_bytes,
            ServerState.CONNECTED: options.max_payload_bytes
            + options.max_head_bytes
            + LENGTH_MAX_BYTES,
            ServerState.ENDING: 0,
            ServerState.ENDED: 0,
        }
        held, bound = self.connection.held_bytes, bounds[self.connection.state]
        assert held <= bound, f"{held} bytes held, {bound} allowed"


class Checked:
    """A machine that gets packet by packet, beside the plain reading."""

    def __init__(self, options: ServerOptions) -> None:
        self.machine = Machine(options)
        self.now_s = 0.0
        self.max_packet_bytes = 268_435_460
        self._packet = b""  # the current packet, as far as it has come
        self._waiting = b""  # what came while CONNECT is not answered
        self._publishes = Publishes(4, options)
        self.ledger = Ledger(4)

    @property
    def state(self) -> ServerState:
        return self.machine.connection.state

    @property
    def waiting_bytes(self) -> int:
        return len(self._waiting)

    def feed(self, data: bytes) -> None:
        """Give bytes on, a packet at a time."""
        while data and self.state in (ServerState.WAITING, ServerState.CONNECTED):
            begun = len(self._packet)
            whole = self._packet + data
            end = self._end_of_packet(whole)
            self._packet, data = whole[:end], whole[end:]
            self._step(self._packet[begun:], is_whole=end <= len(whole))
        if self.state is ServerState.SIGNING_IN:
            self._waiting += data

    def _end_of_packet(self, data: bytes) -> int:
        """Return where the packet ends, beyond the data if it is not whole."""
        try:
            where = content_range(data)
        except Bad:
            return len(data)
        return len(data) + 1 if where is None else where[1]

    def _step(self, piece: bytes, *, is_whole: bool) -> None:
        before, version = self.state, self.machine.connection.version
        events = self.machine.receive(piece, self.now_s, is_read=False)
        output = self.machine.connection.output()
        self.machine.log.output += output
        is_ended = self.state in ENDINGS
        if not is_whole:
            assert not events
            assert output == b"" or is_ended
            assert not is_ended or self._may_end_early(before)
        elif before is ServerState.WAITING:
            self._check_connect(events)
        else:
            self._check_packet(version, events, output)
        if is_whole:
            self._packet = b""

    def _may_end_early(self, before: ServerState) -> bool:
        options, data = self.machine.options, self._packet
        try:
            where = content_range(data)
        except Bad:
            return True
        size = 0 if where is None else where[1] - where[0]
        if before is ServerState.WAITING:
            return data[0] != 0x10 or size > options.max_head_bytes
        return size > min(options.max_head_bytes, options.max_payload_bytes)

    # Sign-in ------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """End, since more has come than may wait for the answer to CONNECT."""
        self._waiting = b""
        self.machine.connection.end(0x97)
        self.machine.connection.output()
        self.machine.log = Log()

    def _check_connect(self, events: list[Event]) -> None:
        if self.state is ServerState.ENDED:
            assert not events
            return
        (connect,) = events
        assert isinstance(connect, Connect)
        assert connect.version == self.machine.connection.version
        if connect.version == 5:
            read, size = mqtt5.read(memoryview(self._packet))
            assert size == len(self._packet)
            assert isinstance(read, mqtt5.ConnectPacket)
            told = (read.client_id, read.username, read.password, read.clean_start, read.keep_alive)
            assert told == connect[1:6]
            self.max_packet_bytes = read.max_packet_size or self.max_packet_bytes
        else:
            assert _written(connect, self._packet) == self._packet[2 + (self._packet[1] > 127) :]

    def accept(self, **how: bool) -> None:
        """Accept, and give on what has waited."""
        if self.state is not ServerState.SIGNING_IN:
            return
        accept(self.machine, **how)
        version = self.machine.connection.version
        self.machine.read()
        (connack,) = read_answers(version, self.machine.log.output, self.max_packet_bytes)
        assert connack == Answer(2)
        options = self.machine.options
        self._publishes, self.ledger = Publishes(version, options), Ledger(version)
        self.machine.receive(b"", self.now_s, is_read=False)  # its clock begins, as for a listener
        waiting, self._waiting = self._waiting, b""
        self.feed(waiting)

    # Packets ------------------------------------------------------------------------------------

    def _check_packet(self, version: int, events: list[Event], output: bytes) -> None:
        data, bad = self._packet, None
        is_ended = self.machine.log.end is not None
        try:
            where = content_range(data)
            assert where is not None
            answers = [] if is_ended else read_answers(version, output, self.max_packet_bytes)
            self._check_by_kind(data, data[where[0] :], events, answers)
        except Bad as error:
            bad = error
        if bad is not None:
            assert is_ended, f"taken, but: {bad}"
            assert not events
        if is_ended:
            self._check_end(version, output)
        else:
            connection, ledger = self.machine.connection, self.ledger
            if self.state is ServerState.CONNECTED:
                held = sum(len(message.payload) for message in ledger.messages.values())
                expected = (len(ledger.messages), held)
                assert (connection.unsettled, connection.unsettled_bytes) == expected

    def _check_by_kind(
        self, data: bytes, content: bytes, events: list[Event], answers: list[Answer]
    ) -> None:
        kind, is_ended = data[0] >> 4, self.machine.log.end is not None
        if kind == PUBLISH:
            self._check_publish(data[0], content, events, answers)
            return
        check_shape(self.machine.connection.version, data[0], content)
        is_3_1 = self.machine.connection.version == 3
        if data == b"\xc0\0" or (is_3_1 and data == b"\xc8\0"):  # 3.1 may repeat it with DUP
            assert (events, answers, is_ended) == ([], [Answer(13)], False)
        elif data[:2] == b"\x62\2" and content != b"\0\0":
            assert (events, answers, is_ended) == ([], [self.ledger.release(content)], False)
        elif is_ended:
            assert not events
        elif kind == PUBREL:
            assert answers == [self.ledger.release(content[:2])]
        elif kind == PUBACK:
            assert not events
            assert [answer.kind for answer in answers] in ([], [PUBLISH])
        elif kind in (8, 10):
            assert all(isinstance(event, Receipts) for event in events)
            assert [(a.kind, a.packet_id) for a in answers] == [
                (kind + 1, int.from_bytes(content[:2], "big"))
            ]
        else:
            assert kind == 14
            (event,) = events
            assert isinstance(event, Goodbye)
            assert self.state is ServerState.ENDED

    def _check_publish(
        self, head: int, content: bytes, events: list[Event], answers: list[Answer]
    ) -> None:
        message = self._publishes.read(head, content)
        is_new, due = self.ledger.come(message)
        assert self.machine.log.end is None, self.machine.log.end
        assert answers == due
        if is_new:
            (event,) = events
            assert isinstance(event, Publish)
            assert event == Publish(self.ledger.number - 1, *message)
            assert type(event) is Publish
        else:
            assert not events

    def _check_end(self, version: int, output: bytes) -> None:
        answers = read_answers(version, output, self.max_packet_bytes)
        if self.state is ServerState.ENDING:
            assert all(answer.kind != 14 for answer in answers)
        elif version == 5:
            assert answers[-1].kind == 14
            assert self.machine.log.end is not None
            assert answers[-1].code == self.machine.log.end[0]
        else:
            assert answers == []

    def end_answered(self) -> None:
        """End the connection that is ending, and check that a device of version 5 hears why."""
        version = self.machine.connection.version
        self.machine.connection.end_answered()
        output = self.machine.connection.output()
        self.machine.log.output += output
        self._check_end(version, output)

    def settle(self, number: int, code: int, reason: str) -> None:
        """Settle a message, and check what leaves."""
        self.machine.connection.settle(number, code, reason)
        output = self.machine.connection.output()
        self.machine.log.output += output
        if self.state in (ServerState.CONNECTED, ServerState.ENDING):
            version = self.machine.connection.version
            answers = read_answers(version, output, self.max_packet_bytes)
            assert answers == self.ledger.settle(number, code)
        else:
            assert output == b""


def _written(connect: Connect, data: bytes) -> bytes:
    """Write a CONNECT of 3.1 or 3.1.1 from what was read of it; flags from the packet."""
    name = b"MQIsdp" if connect.version == 3 else b"MQTT"
    flags = data[2 + (data[1] > 127) + 2 + len(name) + 1]
    assert connect.is_clean is bool(flags & 2)
    parts = [connect.client_id.encode()]
    if connect.will is not None:
        parts += [connect.will.topic.encode(), connect.will.payload]
    if connect.username is not None:
        parts.append(connect.username.encode())
    if connect.password is not None:
        parts.append(connect.password)
    head = string(name) + bytes((connect.version, flags)) + connect.keepalive_s.to_bytes(2, "big")
    return head + b"".join(map(string, parts))


def accept(machine: Machine, *, session_present: bool, wants_receipts: bool) -> None:
    """Accept the device of a machine."""
    machine.connection.accept(
        session_present=session_present,
        client_id="assigned",
        ack_topic=ACK,
        may_filter=is_own,
        wants_receipts=wants_receipts,
    )
