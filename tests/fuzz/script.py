"""The player of a script, which is any bytes: to the server's machine, twice, and compared.

One machine gets the device's bytes in the pieces that the script cuts, the other one packet by
packet, beside the plain reading. Both must do the same, also while messages are settled and time
passes.
"""

from collections.abc import Callable, Iterator

from mqtt.server import ServerOptions, ServerState
from tests.fuzz.machine import Checked, Log, Machine, accept
from tests.fuzz.packets import packets
from tests.mqtt.server.packets import ACK, packet, publish, string

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
                accept(self._cut_machine, **flags)
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
        if self._cut_machine.connection.state is ServerState.ENDING:
            self._cut_machine.connection.end_answered()
            if self._is_read:
                self._checked.end_answered()
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
