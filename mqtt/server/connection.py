"""One device's connection, without a socket and without a clock.

`receive(data, now_s)` takes what the network brought and returns what it means (`events`).
`output()` returns what has to be sent. A `Connect` is answered by `accept` or `refuse`, and a
`Publish` by `settle`, when the message is stored: PUBACKs leave in the order of receipt, whatever
the order of `settle`. `Ended` is raised where the connection has to be closed; what came before
counts, and is answered before. Everything that a client can make it hold is bounded by
`ServerOptions`, but the messages that are handed out: `is_full` says when reading should pause.
"""

from collections.abc import Callable

from mqtt.errors import AtFault
from mqtt.server import answers
from mqtt.server.connecting import ClientBounds, check_version, read_connect
from mqtt.server.ended import (
    CLIENT_ID_NOT_VALID,
    KEEP_ALIVE_TIMEOUT,
    MALFORMED_PACKET,
    MAXIMUM_CONNECT_TIME,
    NORMAL,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    QUOTA_EXCEEDED,
    UNSUPPORTED_PROTOCOL_VERSION,
    Ended,
    Violation,
)
from mqtt.server.events import Connect, Event, Goodbye, Receipts, Will
from mqtt.server.fields import Fields
from mqtt.server.options import ServerOptions
from mqtt.server.receipts import Deliveries, Subscriptions
from mqtt.server.requests import (
    read_answer,
    read_disconnect,
    read_subscribe,
    read_unsubscribe,
)
from mqtt.server.states import RECEIVABLE, TRANSITIONS, Packet, ServerState
from mqtt.server.stream import LENGTH_BYTES_MAX, LEVEL_5, Stream, remaining_length
from mqtt.server.window import ReceiveWindow

SILENCE_LIMIT = 1.5
"""Keepalive intervals without any packet after which a client is gone (MQTT 5, 3.1.2.10)."""
_CONNECTED = ServerState.CONNECTED  # a global is read faster than a member
_FLAGS = {Packet.PUBREL: 2, Packet.SUBSCRIBE: 2, Packet.UNSUBSCRIBE: 2}
_DUP = 0x08
_PINGREQ = Packet.PINGREQ << 4
_REQUEST_WEIGHT = 10
"""A PINGREQ, and each filter of a SUBSCRIBE or UNSUBSCRIBE, counts as this number of messages: no
device needs many, and each is answered.
"""


class ServerConnection:
    """The server's state of one network connection, from its first byte to its end."""

    __slots__ = (
        "_bounds",
        "_connect",
        "_deliveries",
        "_farewell",
        "_heard_s",
        "_options",
        "_others",
        "_out",
        "_paused_s",
        "_session_expiry_s",
        "_silence_limit_s",
        "_stream",
        "_subscriptions",
        "_will",
        "_window",
        "state",
        "version",
    )

    def __init__(self, options: ServerOptions, now_s: float) -> None:
        self._options = options
        self._heard_s = now_s
        self._paused_s: float | None = None
        self._silence_limit_s = options.connect_limit_s
        self._others = 0
        self._out: list[bytes] = []
        self._window = ReceiveWindow(self._out)
        self._stream = Stream(options, self._window)
        self._bounds = ClientBounds()
        self._connect: Connect | None = None
        self._will: Will | None = None
        self._session_expiry_s = 0
        self._subscriptions: Subscriptions | None = None
        self._deliveries: Deliveries | None = None
        self._farewell = Violation(NORMAL, "")  # what ends the connection, while it is ENDING
        self.state = ServerState.WAITING
        self.version = 0
        """3 (3.1), 4 (3.1.1) or 5; 0 before CONNECT."""

    @property
    def unsettled(self) -> int:
        """Messages handed out and not settled; one that waits for an older one counts."""
        return len(self._window.messages)

    @property
    def unsettled_bytes(self) -> int:
        """Bytes of their payloads."""
        return self._window.held_bytes

    @property
    def is_full(self) -> bool:
        """Whether more is unsettled than a client may send that keeps to the receive maximum."""
        return len(self._window.messages) > self._options.receive_maximum

    @property
    def repeated(self) -> int:
        """Messages that came again on this connection and were not handed out."""
        return self._window.repeated

    @property
    def without_message(self) -> int:
        """The cost of what came without a message, counted in messages: packets of other kinds, and
        messages that came again.
        """
        return self._others + self._window.repeated

    @property
    def held_bytes(self) -> int:
        """Bytes of what is not complete yet, or waits for the answer to CONNECT."""
        return len(self._stream.held)

    # What the network brings --------------------------------------------------------------------

    def receive(self, data: bytes, now_s: float) -> list[Event]:
        """Take in bytes from the network. Raises `Ended`."""
        events: list[Event] = []
        try:
            if self._out:
                self._check_unread()
            if self.state is not _CONNECTED:
                self._before_session(data, events, now_s)
                return events
            self._heard_s = now_s
            self._stream.feed(data, events, self._on_packet)
        except Violation as violation:
            raise self._cut(violation, events) from None
        return events

    # CONNECT and its answer ---------------------------------------------------------------------

    def _before_session(self, data: bytes, events: list[Event], now_s: float) -> None:
        """Gather CONNECT, and what follows it until it is answered."""
        if self.state in (ServerState.ENDING, ServerState.ENDED):
            return
        held = self._stream.held
        held += data
        if self.state is ServerState.WAITING:
            self._find_connect(held, events, now_s)
        if self.state is ServerState.SIGNING_IN and len(held) > self._options.waiting_max_bytes:
            text = f"more than {self._options.waiting_max_bytes} bytes before CONNACK"
            raise Violation(QUOTA_EXCEEDED, text)

    def _find_connect(self, held: bytearray, events: list[Event], now_s: float) -> None:
        if held and held[0] != Packet.CONNECT << 4:
            raise Violation(PROTOCOL_ERROR, f"the first byte is {held[0]:#04x}, not a CONNECT's")
        size, begin = remaining_length(bytes(held[: 1 + LENGTH_BYTES_MAX]), 0)
        if size > self._options.max_head_bytes:
            raise Violation(PACKET_TOO_LARGE, f"CONNECT of {size} bytes")
        if begin == 0 or len(held) < begin + size:
            return
        fields = Fields(bytes(held[: begin + size]), begin, begin + size)
        del held[: begin + size]
        name, level = fields.binary(), fields.u8()
        self.version = self._stream.version = min(max(level, 3), LEVEL_5)  # to answer in
        check_version(name, level)
        self._connect, self._bounds = read_connect(fields, self.version, self._options)
        self._heard_s = now_s
        self._move(ServerState.SIGNING_IN)
        events.append(self._connect)

    def accept(
        self,
        *,
        session_present: bool,
        client_id: str,
        ack_topic: str,
        may_filter: Callable[[str], bool],
        is_command_topic: Callable[[str], bool] = lambda _: False,
        wants_receipts: bool = False,
        command_topic: str | None = None,
    ) -> None:
        """Answer CONNECT. Call `receive(b"", now_s)` then for what has waited.

        client_id: the client's own or an assigned one. ack_topic: what receipts are published to.
        may_filter: whether a filter may be subscribed to. is_command_topic: whether a filter is a
        topic of the client's commands. wants_receipts, command_topic: what the session that goes on
        was subscribed to. Does nothing if the connection has ended meanwhile.
        """
        connect, options = self._connect, self._options
        if connect is None or self.state is not ServerState.SIGNING_IN:
            return
        keepalive_s, self._silence_limit_s = self._keepalive(connect)
        self._window.begin(
            is_5=connect.version == LEVEL_5,
            max_packet_bytes=self._bounds.max_packet_bytes,
            wants_reasons=self._bounds.wants_reasons,
        )
        self._subscriptions = Subscriptions(options, ack_topic, may_filter, is_command_topic)
        if wants_receipts or command_topic is not None:
            self._subscriptions.resume(wants_receipts=wants_receipts, command_topic=command_topic)
        self._will, self._session_expiry_s = connect.will, connect.session_expiry_s
        self._connect = None
        self._move(ServerState.CONNECTED)
        self._send(
            answers.connack(
                connect.version,
                options,
                session_present=session_present,
                assigned_client_id=None if connect.client_id else client_id,
                session_expiry_s=connect.session_expiry_s,
                keepalive_s=keepalive_s,
            )
        )

    def _keepalive(self, connect: Connect) -> tuple[int | None, float]:
        """Return the keepalive to announce, if it is not the client's, and the silence allowed."""
        options = self._options
        if 0 < connect.keepalive_s <= options.keepalive_max_s:
            return None, SILENCE_LIMIT * connect.keepalive_s
        if connect.version == LEVEL_5:
            return options.keepalive_max_s, SILENCE_LIMIT * options.keepalive_max_s
        return None, options.idle_limit_s

    def refuse(self, reason_code: int) -> None:
        """Answer CONNECT by a refusal: version 5's reason code, which is translated. Does nothing
        if the connection has ended meanwhile.
        """
        if self.state is ServerState.SIGNING_IN:
            self._send(answers.refusal(self.version, reason_code))
            self._close()

    # Other packets ------------------------------------------------------------------------------

    def _on_packet(
        self, head: int, data: bytes, begin: int, stop: int, events: list[Event]
    ) -> bool:
        if head == _PINGREQ and begin == stop:  # the shortest way: a read may bring thousands
            self._others += _REQUEST_WEIGHT
            self._out.append(answers.PINGRESP)
            return True
        self._others += 1
        kind, flags = head >> 4, head & 15
        if kind not in RECEIVABLE[self.state]:
            name = Packet(kind).name if kind else "packet 0"
            raise Violation(PROTOCOL_ERROR, f"{name} while {self.state.value}")
        if self.version == 3:
            flags &= ~_DUP  # 3.1 repeats these packets with DUP
        if flags != _FLAGS.get(Packet(kind), 0):
            raise Violation(MALFORMED_PACKET, f"{Packet(kind).name} with flags {flags}")
        fields = Fields(data, begin, stop)
        if kind == Packet.PINGREQ:
            fields.must_end()
            self._out.append(answers.PINGRESP)
        elif kind == Packet.PUBACK:
            self._on_puback(fields)
        elif kind == Packet.PUBREL:
            packet_id = read_answer(fields, self.version)
            self._window.complete(packet_id)
        elif kind == Packet.SUBSCRIBE:
            self._on_subscribe(fields, events)
        elif kind == Packet.UNSUBSCRIBE:
            self._on_unsubscribe(fields, events)
        elif kind == Packet.DISCONNECT:
            events.append(self._on_disconnect(fields))
        return kind != Packet.DISCONNECT

    def _on_puback(self, fields: Fields) -> None:
        packet_id = int.from_bytes(read_answer(fields, self.version), "big")
        if self._deliveries is not None:
            self._send(self._deliveries.answered(packet_id))

    def _on_subscribe(self, fields: Fields, events: list[Event]) -> None:
        packet_id, filters = read_subscribe(fields, self.version)
        self._others += _REQUEST_WEIGHT * len(filters)
        subscriptions = self._of_session()
        wanted_before = subscriptions.wanted
        codes = [subscriptions.add(pattern, qos) for pattern, qos in filters]
        self._note_receipts(wanted_before, events)
        self._send(answers.suback(self.version, packet_id, codes))

    def _on_unsubscribe(self, fields: Fields, events: list[Event]) -> None:
        packet_id, patterns = read_unsubscribe(fields, self.version)
        self._others += _REQUEST_WEIGHT * len(patterns)
        subscriptions = self._of_session()
        wanted_before = subscriptions.wanted
        codes = [subscriptions.remove(pattern) for pattern in patterns]
        self._note_receipts(wanted_before, events)
        self._send(answers.unsuback(self.version, packet_id, codes))

    def _of_session(self) -> Subscriptions:
        if self._subscriptions is None:
            raise RuntimeError("no session before accept")
        return self._subscriptions

    def _note_receipts(self, wanted_before: Receipts, events: list[Event]) -> None:
        wanted = self._of_session().wanted
        if wanted != wanted_before:
            events.append(wanted)

    def _on_disconnect(self, fields: Fields) -> Goodbye:
        reason_code, expiry_s = read_disconnect(fields, self.version)
        if expiry_s is not None:
            expiry_s = self._new_expiry_s(expiry_s)
        if reason_code == NORMAL:
            self._will = None
        self._close()
        return Goodbye(reason_code != NORMAL, expiry_s)

    def _new_expiry_s(self, expiry_s: int) -> int:
        """Bound the session expiry of a DISCONNECT (MQTT 5, 3.14.2.2.2)."""
        if expiry_s and not self._session_expiry_s:
            raise Violation(PROTOCOL_ERROR, "DISCONNECT keeps a session that CONNECT did not")
        return min(expiry_s, self._options.session_expiry_max_s)

    # What is sent -------------------------------------------------------------------------------

    def settle(self, number: int, reason_code: int = 0, reason: str = "") -> None:
        """Note what became of a message; its answer leaves after those of older ones."""
        self._window.settle(number, reason_code, reason)

    def deliver(self, topic: str, payload: bytes, correlation_data: bytes | None) -> bool:
        """Send a receipt or a command; False if the client wants none or takes no more."""
        if self.state is not ServerState.CONNECTED:
            return False
        qos = self._of_session().qos_of(topic)
        if qos is None:
            return False
        if self._deliveries is None:
            self._deliveries = Deliveries(self._options, self._bounds, self.version)
        packet = self._deliveries.put(topic, payload, correlation_data, qos)
        if packet is None:
            return False
        self._send(packet)
        return True

    def output(self) -> bytes:
        """Return what has to be sent now; empty if nothing."""
        out = self._out
        if not out:
            return b""
        data = b"".join(out)
        out.clear()
        return data

    def _send(self, packet: bytes) -> None:
        """Queue a packet, unless it is longer than the client takes (MQTT-3.1.2-25)."""
        if packet and len(packet) <= self._bounds.max_packet_bytes:
            self._out.append(packet)

    def _check_unread(self) -> None:
        if sum(map(len, self._out)) > self._options.unread_max_bytes:
            raise Violation(QUOTA_EXCEEDED, "the answers are not read")

    # Time ---------------------------------------------------------------------------------------

    def pause(self, now_s: float) -> None:
        """Note that reading pauses by the server's own will: silence says nothing now."""
        if self._paused_s is None:
            self._paused_s = now_s

    def resume(self, now_s: float) -> None:
        """Note that reading goes on: the clock goes on where it stood."""
        if self._paused_s is not None:
            self._heard_s += now_s - self._paused_s
            self._paused_s = None

    def tick(self, now_s: float) -> None:
        """Raise `Ended` for a client that is silent, or that was paused for too long."""
        if self.state not in (ServerState.WAITING, ServerState.CONNECTED):
            return
        limit_s = self._silence_limit_s
        since_s = self._heard_s if self._paused_s is None else self._paused_s
        if now_s - since_s <= limit_s:
            return
        if self._paused_s is not None:
            violation = Violation(QUOTA_EXCEEDED, f"not read for {limit_s:g} s")
        elif self.state is ServerState.WAITING:
            violation = Violation(MAXIMUM_CONNECT_TIME, f"no CONNECT within {limit_s:g} s")
        else:
            violation = Violation(KEEP_ALIVE_TIMEOUT, f"nothing heard for {limit_s:g} s")
        raise self._cut(violation, [])

    # The end ------------------------------------------------------------------------------------

    def end(self, reason_code: int) -> None:
        """End the connection from the server's side; version 5 hears why."""
        self._say_why(reason_code, "")
        self._close()

    def leave(self, reason_code: int) -> None:
        """End it after the answers to what is unsettled: until then its state is ENDING."""
        self._leave(Violation(reason_code, ""))

    def _leave(self, violation: Violation) -> None:
        if self.state is _CONNECTED and self._window.messages:
            self._farewell = violation
            self._stream.close()
            self._move(ServerState.ENDING)
        else:
            self._say_why(violation.reason_code, violation.text)
            self._close()

    def end_answered(self) -> None:
        """End the connection that is ENDING."""
        self._say_why(self._farewell.reason_code, self._farewell.text)
        self._close()

    def lost(self) -> Will | None:
        """Note that the connection is gone. Return the will if it is due."""
        will, self._will = self._will, None
        self._close()
        return will

    def _cut(self, violation: Violation, events: list[Event]) -> Ended:
        self._leave(violation)
        is_silence = violation.reason_code in (KEEP_ALIVE_TIMEOUT, MAXIMUM_CONNECT_TIME)
        fault = AtFault.NETWORK if is_silence else AtFault.DEVICE
        return Ended(violation.reason_code, violation.text, fault, events)

    def _say_why(self, reason_code: int, text: str) -> None:
        is_session = self.state in (ServerState.CONNECTED, ServerState.ENDING)
        if is_session and self.version == LEVEL_5:
            self._send(answers.disconnect(reason_code, text, self._bounds.max_packet_bytes))
        elif self.state is ServerState.SIGNING_IN or (
            self.state is ServerState.WAITING
            and (self.version == LEVEL_5 or reason_code in _ANSWERED_BEFORE_5)
        ):
            self._send(answers.refusal(self.version or 4, reason_code))

    def _close(self) -> None:
        self._window.close()
        self._stream.close()
        if self.state is not ServerState.ENDED:
            self._move(ServerState.ENDED)

    def _move(self, state: ServerState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"no way from {self.state} to {state}")
        self.state = state


_ANSWERED_BEFORE_5 = (UNSUPPORTED_PROTOCOL_VERSION, CLIENT_ID_NOT_VALID)
