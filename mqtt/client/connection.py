"""One connection's worth of MQTT 5, without a socket and without a clock.

`receive(data, now_s)` takes what the network brought: messages go to the inbox, PUBACKs to the
outgoing queue, the rest moves the state. `output(now_s)` returns what has to be sent.
`tick(now_s)` keeps the connection alive. All three raise an MqttError when the connection is
over; its `disconnect_reason` says what to tell the broker. Everything in one read is dealt with,
also what follows CONNACK: on a resume the broker sends its backlog right behind it.
"""

from collections.abc import Callable

import mqtt5
from mqtt5 import PubAckPacket, PublishPacket

from mqtt.client.framing import PacketReader
from mqtt.client.inbox import Inbox
from mqtt.client.options import PACKET_ID_MAX, SessionOptions
from mqtt.client.outgoing import BrokerLimits, Outgoing
from mqtt.client.states import RECEIVABLE, TRANSITIONS, ClientState
from mqtt.errors import (
    ConnectRefusedError,
    PeerSilentError,
    ProtocolViolationError,
    ServerDisconnectedError,
    SessionTakenOverError,
    SubscriptionRefusedError,
)

SUBSCRIBE_PACKET_ID = PACKET_ID_MAX
"""The one packet id that no publish uses."""
SEND_CHUNK_BYTES = 256 * 1024
SILENCE_LIMIT = 1.5
"""Keepalive intervals without any packet after which the peer is taken for dead, as brokers do
with us.
"""


class ClientConnection:
    """The state of one network connection from CONNECT to its end."""

    def __init__(
        self,
        options: SessionOptions,
        inbox: Inbox,
        outgoing: Outgoing,
        *,
        now_s: float,
        first: bool,
    ) -> None:
        self._options = options
        self._inbox = inbox
        self._outgoing = outgoing
        self._first = first
        self._reader = PacketReader(options.max_packet_bytes)
        self._keepalive_s = options.keepalive_s
        self._heard_s = now_s
        self._sent_s = now_s
        self._reading = True
        self._control: list[bytes] = [self._connect_packet().write()]
        self._handlers: dict[type[mqtt5.Packet], Callable[..., None]] = {
            mqtt5.ConnAckPacket: self._on_connack,
            mqtt5.SubAckPacket: self._on_suback,
            mqtt5.PingRespPacket: self._on_pingresp,
            mqtt5.DisconnectPacket: self._on_disconnect,
        }
        self.state = ClientState.CONNECTING
        self._receivable = RECEIVABLE[self.state]
        self.was_ready = False
        """Whether it ever was CONNECTED."""

    def receive(self, data: bytes, now_s: float) -> None:
        """Take in bytes from the network. Packets before a bad one count."""
        self._heard_s = now_s
        add, acknowledge = self._inbox.add, self._outgoing.acknowledge
        for packet in self._reader.feed(data):
            kind = type(packet)
            if kind not in self._receivable:
                raise ProtocolViolationError(f"{kind.__name__} while {self.state.value}")
            if isinstance(packet, PublishPacket):
                add(packet)
            elif isinstance(packet, PubAckPacket):
                acknowledge(packet)
            else:
                self._handlers[kind](packet)

    def output(self, now_s: float, *, writable: bool = True) -> bytes:
        """Return bytes to be sent now, at most about SEND_CHUNK_BYTES of publishes; empty when
        there are none.

        Publishes wait while the network does not take more (`writable`) or the broker has not
        accepted us.
        """
        chunks, self._control = self._control, []
        if writable and self.state in (ClientState.SUBSCRIBING, ClientState.CONNECTED):
            chunks.extend(self._outgoing.dequeue(SEND_CHUNK_BYTES))
        if chunks:
            self._sent_s = now_s
        return b"".join(chunks)

    def acknowledge(self, pubacks: bytes) -> None:
        """Queue PUBACKs from the inbox."""
        if pubacks:
            self._control.append(pubacks)

    def disconnect(self, reason: mqtt5.DisconnectReasonCode) -> None:
        """Queue a DISCONNECT, if the broker knows us already. Nothing may be sent after it."""
        if self.state is not ClientState.CONNECTING:
            self._control.append(mqtt5.DisconnectPacket(reason_code=reason).write())
        self._move(ClientState.OFFLINE)

    def pause_reading(self) -> None:
        """Stop expecting bytes: the owner reads no more, so silence says nothing about the peer."""
        self._reading = False

    def resume_reading(self, now_s: float) -> None:
        self._reading = True
        self._heard_s = now_s

    @property
    def tick_interval_s(self) -> float | None:
        """The seconds between two calls of `tick`; None if keepalive is off."""
        return self._keepalive_s / 4 if self._keepalive_s else None

    def tick(self, now_s: float) -> None:
        """Queue a ping when one direction was idle for half the keepalive; raise when the peer is
        silent.
        """
        if not self._keepalive_s or self.state is ClientState.CONNECTING:
            return
        silent_s = now_s - self._heard_s
        if self._reading and silent_s > SILENCE_LIMIT * self._keepalive_s:
            raise PeerSilentError(silent_s, self._keepalive_s)
        if now_s - min(self._heard_s, self._sent_s) >= self._keepalive_s / 2:
            self._control.append(mqtt5.PingReqPacket().write())

    def _connect_packet(self) -> mqtt5.ConnectPacket:
        options = self._options
        return mqtt5.ConnectPacket(
            options.client_id,
            username=options.username,
            password=options.password,
            clean_start=options.clean_start and self._first,
            will=options.will.to_codec() if options.will else None,
            keep_alive=options.keepalive_s,
            session_expiry_interval=options.session_expiry_s,
            receive_max=options.receive_maximum,
            max_packet_size=options.max_packet_bytes,
        )

    def _on_connack(self, packet: mqtt5.ConnAckPacket) -> None:
        if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
            raise ConnectRefusedError(packet.reason_code, packet.reason_str)
        if packet.server_keep_alive is not None:
            self._keepalive_s = packet.server_keep_alive
        most_bytes = 2 * self._options.max_buffered_bytes  # reading stops beyond half of it
        self._inbox.connection_made(packet.session_present, most_bytes)
        self._outgoing.connection_made(packet.session_present, _limits(packet))
        if self._options.subscriptions and (self._first or not packet.session_present):
            self._subscribe()
        else:
            self._move(ClientState.CONNECTED)

    def _subscribe(self) -> None:
        """Ask for all subscriptions: where the session is new, and once per start, as the list
        may be.
        """
        filters = [subscription.to_codec() for subscription in self._options.subscriptions]
        self._control.append(mqtt5.SubscribePacket(SUBSCRIBE_PACKET_ID, filters).write())
        self._move(ClientState.SUBSCRIBING)

    def _on_suback(self, packet: mqtt5.SubAckPacket) -> None:
        wanted = self._options.subscriptions
        if packet.packet_id != SUBSCRIBE_PACKET_ID or len(packet.reason_codes) != len(wanted):
            raise ProtocolViolationError("SUBACK does not answer our SUBSCRIBE")
        for subscription, reason in zip(wanted, packet.reason_codes, strict=True):
            if reason != subscription.qos:
                raise SubscriptionRefusedError(subscription.topic_filter, reason, subscription.qos)
        self._move(ClientState.CONNECTED)

    def _on_pingresp(self, packet: mqtt5.PingRespPacket) -> None:
        """Accept a PINGRESP: hearing it was all that mattered."""

    def _on_disconnect(self, packet: mqtt5.DisconnectPacket) -> None:
        if packet.reason_code is mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER:
            raise SessionTakenOverError(self._options.client_id)
        raise ServerDisconnectedError(packet.reason_code, packet.reason_str)

    def _move(self, state: ClientState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"no way from {self.state} to {state}")
        self.state = state
        self.was_ready |= state is ClientState.CONNECTED
        self._receivable = RECEIVABLE[state]


def _limits(packet: mqtt5.ConnAckPacket) -> BrokerLimits:
    return BrokerLimits(
        receive_maximum=packet.receive_max,
        max_packet_bytes=packet.max_packet_size,
        qos_1=packet.max_qos is not mqtt5.QoS.AT_MOST_ONCE,
        retain=packet.retain_available,
    )
