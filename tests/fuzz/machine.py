"""The player of a script, which is any bytes: to the server's machine, twice, and compared.

One machine gets the device's bytes in the pieces that the script cuts. The other one gets packet
by packet and is held against the plain reading of `reference`: which messages are handed out, which
answers leave and in which order, what ends the connection. Both must do the same, raise nothing but
`Ended`, and hold no more than their options allow.
"""

from collections.abc import Callable, Iterator

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
from tests.fuzz.packets import packets
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
from tests.mqtt.server.packets import ACK, is_own, packet, publish, string

OPTIONS = (
    ServerOptions(
        receive_maximum=3, max_payload_bytes=300, max_packet_bytes=1500, max_head_bytes=200,
        max_filters=2, max_filter_bytes=40, correlation_max_bytes=30, waiting_max_bytes=1000,
        unread_max_bytes=100, receipts_max=3,
    ),
    ServerOptions(
        max_payload_bytes=100, max_packet_bytes=1500, max_head_bytes=400, waiting_max_bytes=300,
    ),
    ServerOptions(),
)  # fmt: skip
LENGTH_MAX_BYTES = 5
"""The first byte of a packet and its length."""
DISCONNECT_MAX_BYTES = 300
"""A DISCONNECT or a CONNACK of ours."""
CODES = (0x00, 0x00, 0x10, 0x83, 0x87, 0x97, 0x99)
REASONS = ("", "why", "y" * 200)
REFUSALS = (0x86, 0x88, 0x87, 0x97, 0x8D)
ENDS = (0x8B, 0x8E, 0x98, 0x97)
TOPICS = ("t", "trackers/trk_1/fixes", "", "ä/b", "a/+", "q" * 190)
PROPERTIES = (b"", b"\x23\0\1", b"\x23\0\4", b"\1\1", b"\x09" + string("id"), b"\1\2", b"\x0b\1")
SIZES = (0, 1, 4, 90, 296, 300, 301, 600, 1499)


class Script:
    """A reader of numbers and bytes from a script; zeros where it has ended."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._data)

    def number(self, below: int = 256) -> int:
        byte = self.take(1)
        return byte[0] % below if byte else 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken


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
            assert self.connection.state is ServerState.ENDED
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
        self.ledger = Ledger(4, options)

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
        is_ended = self.state is ServerState.ENDED
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
        _accept(self.machine, **how)
        version = self.machine.connection.version
        self.machine.read()
        (connack,) = read_answers(version, self.machine.log.output, self.max_packet_bytes)
        assert connack == Answer(2)
        options = self.machine.options
        self._publishes, self.ledger = Publishes(version, options), Ledger(version, options)
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
        if version == 5:
            assert answers[-1].kind == 14
            assert self.machine.log.end is not None
            assert answers[-1].code == self.machine.log.end[0]
        else:
            assert answers == []

    def settle(self, number: int, code: int, reason: str) -> None:
        """Settle a message, and check what leaves."""
        self.machine.connection.settle(number, code, reason)
        output = self.machine.connection.output()
        self.machine.log.output += output
        if self.state is ServerState.CONNECTED:
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


def _accept(machine: Machine, *, session_present: bool, wants_receipts: bool) -> None:
    machine.connection.accept(
        session_present=session_present,
        client_id="assigned",
        ack_topic=ACK,
        may_filter=is_own,
        wants_receipts=wants_receipts,
    )


class Play:
    """One script, played to both machines."""

    def __init__(self, data: bytes) -> None:
        self._script = Script(data)
        how = self._script.number()
        self._version = 3 + how % 3
        options = OPTIONS[how // 3 % 3]
        self._is_read = how & 0x80 == 0
        self._cut = self._script.number()
        self._cut_machine = Machine(options)
        self._checked = Checked(options)
        self._wire = b""
        self._now_s = 0.0
        self._longest_piece = 0
        self._sent_bytes = 0  # bound of what was sent without having received anything

    def run(self) -> None:
        steps: tuple[Callable[[], None], ...] = (
            self._raw, self._canned, self._canned, self._changed, self._shortened, self._built,
            self._built, self._settle, self._settle, self._settle_all, self._answer_connect,
            self._deliver, self._time, self._end, self._length, self._any_content,
        )  # fmt: skip
        while not self._script.is_over:
            steps[self._script.number(len(steps))]()
        self._feed()
        if not self._is_read:
            self._check_unread()

    # What the device sends ----------------------------------------------------------------------

    def _some_packet(self) -> bytes:
        every = tuple(packets(self._version).values())
        return every[self._script.number(len(every))]

    def _raw(self) -> None:
        self._wire += self._script.take(self._script.number())

    def _canned(self) -> None:
        self._wire += self._some_packet()

    def _changed(self) -> None:
        data = self._some_packet()
        at = self._script.number(len(data))
        self._wire += data[:at] + bytes((self._script.number(),)) + data[at + 1 :]

    def _shortened(self) -> None:
        """Send a packet whose length is right and whose content is cut."""
        data = self._some_packet()
        content = data[2 + (data[1] > 127) :]
        self._wire += packet(data[0], content[: self._script.number(len(content) + 1)])

    def _built(self) -> None:
        script = self._script
        flags, packet_id = script.number(), script.number(6)
        qos = min(flags & 3, 2)
        topic, props = TOPICS[script.number(6)], PROPERTIES[script.number(7)]
        payload = bytes((script.number(),)) * SIZES[flags >> 3 & 7 if flags & 4 else 1]
        self._wire += publish(
            self._version, packet_id if qos else None, payload,
            topic=topic, props=props, qos=qos, flags=flags >> 4 & (9 if qos else 1),
        )  # fmt: skip

    def _length(self) -> None:
        head = self._script.number()
        self._wire += bytes((head,)) + self._script.take(1 + self._script.number(4))

    def _any_content(self) -> None:
        head = self._script.number()
        self._wire += packet(head, self._script.take(self._script.number()))

    def _pieces(self) -> Iterator[bytes]:
        size = (self._cut % 17 or len(self._wire)) or 1
        for at in range(0, len(self._wire), size):
            yield self._wire[at : at + size]

    def _feed(self) -> None:
        """Send what has gathered."""
        pieces, self._wire = list(self._pieces()), b""
        for piece in pieces:
            self._longest_piece = max(self._longest_piece, len(piece))
            self._cut_machine.receive(piece, self._now_s, is_read=self._is_read)
        if self._is_read:
            self._checked.now_s = self._now_s
            self._checked.feed(b"".join(pieces))
            self._compare()

    def _compare(self) -> None:
        checked, cut = self._checked, self._cut_machine
        if checked.waiting_bytes > checked.machine.options.waiting_max_bytes:
            checked.give_up()
            _, _, end = cut.log.taken()
            assert end is not None
            assert end[0] == 0x97
            cut.log = Log()
        checked.machine.read()
        cut.read()
        assert cut.log.taken() == checked.machine.log.taken()
        assert cut.connection.state is checked.state
        assert cut.connection.unsettled == checked.machine.connection.unsettled
        assert cut.connection.repeated == checked.machine.connection.repeated

    # What the server does -----------------------------------------------------------------------

    def _machines(self) -> list[Machine]:
        return [self._cut_machine, self._checked.machine] if self._is_read else [self._cut_machine]

    def _settle_number(self, number: int, code: int, reason: str) -> None:
        self._sent_bytes += (4 + len(reason) + 10) * (self._cut_machine.connection.unsettled + 1)
        self._cut_machine.connection.settle(number, code, reason)
        if self._is_read:
            self._checked.settle(number, code, reason)
            self._compare()

    def _settle(self) -> None:
        self._feed()
        code, reason = CODES[self._script.number(7)], REASONS[self._script.number(3)]
        oldest = self._cut_machine.handed_out - self._cut_machine.connection.unsettled
        self._settle_number(max(0, oldest - 1 + self._script.number(7)), code, reason)

    def _settle_all(self) -> None:
        self._feed()
        handed_out = self._cut_machine.handed_out
        for number in range(handed_out - self._cut_machine.connection.unsettled, handed_out):
            self._settle_number(number, 0, "")

    def _answer_connect(self) -> None:
        self._feed()
        how = self._script.number()
        if how & 0xF0 == 0xF0:
            for machine in self._machines():
                machine.connection.refuse(REFUSALS[how % 5])
        else:
            flags = {"session_present": bool(how & 1), "wants_receipts": bool(how & 2)}
            if self._cut_machine.connection.state is ServerState.SIGNING_IN:
                _accept(self._cut_machine, **flags)
                self._cut_machine.receive(b"", self._now_s, is_read=self._is_read)
            if self._is_read:
                self._checked.now_s = self._now_s
                self._checked.accept(**flags)
        self._sent_bytes += DISCONNECT_MAX_BYTES
        if self._is_read:
            self._compare()

    def _deliver(self) -> None:
        self._feed()
        size, correlation = self._script.number(), self._script.number()
        data = bytes(correlation & 31) if correlation & 128 else None
        self._sent_bytes += size + 100
        taken = [m.connection.deliver(ACK, b"r" * size, data) for m in self._machines()]
        assert len(set(taken)) == 1
        if self._is_read:
            self._compare()

    def _time(self) -> None:
        self._feed()
        what, seconds = self._script.number(4), self._script.number()
        self._now_s += seconds
        for machine in self._machines():
            if what == 1:
                machine.connection.pause(self._now_s)
            elif what == 2:
                machine.connection.resume(self._now_s)
            else:
                machine.tick(self._now_s)
        if self._is_read:
            self._compare()

    def _end(self) -> None:
        self._feed()
        how = self._script.number()
        for machine in self._machines():
            if how & 0x80:
                machine.connection.end(ENDS[how % 4])
            elif how & 0x40:
                machine.connection.lost()
        self._sent_bytes += DISCONNECT_MAX_BYTES
        if self._is_read:
            self._compare()

    def _check_unread(self) -> None:
        """Check that what a client does not read is bounded, whatever it sends."""
        machine = self._cut_machine
        bound = machine.options.unread_max_bytes + 2 * self._longest_piece
        bound += self._sent_bytes + DISCONNECT_MAX_BYTES
        assert len(machine.connection.output()) <= bound


def play(data: bytes) -> None:
    """Play a script. Raises where the machine is wrong."""
    Play(data).run()
