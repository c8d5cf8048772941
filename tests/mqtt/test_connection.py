"""The connection without a network: what it says, when, and when it gives up."""

import mqtt5
import pytest

from mqtt.client.connection import ClientConnection
from mqtt.client.inbox import Inbox
from mqtt.client.options import SessionOptions, SessionWill, Subscription
from mqtt.client.outgoing import Outgoing, OutgoingPublish
from mqtt.client.states import ClientState
from mqtt.errors import (
    ConnectRefusedError,
    PeerSilentError,
    ProtocolViolationError,
    ServerDisconnectedError,
    SessionTakenOverError,
    SubscriptionRefusedError,
    UnsupportedQosError,
)
from tests.mqtt.packets import connack, publish, read_all, suback

SUBSCRIBED = SessionOptions("c", subscriptions=(Subscription("t/#"),), keepalive_s=20)


class Fixture:
    """A connection with an inbox and an outgoing queue, at second 0."""

    def __init__(self, options: SessionOptions = SUBSCRIBED, *, first: bool = True) -> None:
        self.inbox = Inbox(options.receive_maximum)
        self.outgoing = Outgoing(options.max_pending_publishes, options.max_buffered_bytes)
        self.connection = ClientConnection(
            options, self.inbox, self.outgoing, now_s=0.0, first=first
        )

    def said(self, now_s: float = 0.0) -> list[mqtt5.Packet]:
        return read_all(self.connection.output(now_s))

    def hears(self, *data: bytes, now_s: float = 0.0) -> None:
        self.connection.receive(b"".join(data), now_s)


def test_connect_says_what_the_options_say():
    options = SessionOptions(
        "ingest",
        username="u",
        password=b"p",
        session_expiry_s=77,
        keepalive_s=9,
        receive_maximum=500,
        max_packet_bytes=4_000,
        will=SessionWill("gone", b"!", qos=1, retain=True, delay_s=3),
    )
    (connect,) = Fixture(options).said()
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert (connect.client_id, connect.username, connect.password) == ("ingest", "u", b"p")
    assert (connect.session_expiry_interval, connect.keep_alive) == (77, 9)
    assert (connect.receive_max, connect.max_packet_size) == (500, 4_000)
    assert connect.will is not None
    assert (connect.will.topic, connect.will.payload) == ("gone", b"!")
    assert (int(connect.will.qos), connect.will.retain) == (1, True)
    assert connect.will.will_delay_interval == 3
    assert not connect.clean_start


@pytest.mark.parametrize("first", [True, False])
def test_a_clean_start_is_asked_for_only_at_the_first_connection(first: bool):
    (connect,) = Fixture(SessionOptions("c", clean_start=True), first=first).said()
    assert isinstance(connect, mqtt5.ConnectPacket)
    assert connect.clean_start is first


@pytest.mark.parametrize(
    ("first", "session_present", "subscribes"),
    [(True, False, True), (True, True, True), (False, False, True), (False, True, False)],
)
def test_it_subscribes_once_per_start_and_whenever_the_broker_lost_the_session(
    first: bool, session_present: bool, subscribes: bool
):
    it = Fixture(first=first)
    it.said()
    it.hears(connack(session_present=session_present))
    said = it.said()
    assert [type(packet) for packet in said] == [mqtt5.SubscribePacket] * subscribes
    assert it.connection.state is (ClientState.SUBSCRIBING if subscribes else ClientState.CONNECTED)
    if subscribes:
        it.hears(suback())
        assert it.connection.state is ClientState.CONNECTED


def test_messages_in_the_same_read_as_connack_are_kept():
    it = Fixture(first=False)
    it.hears(connack(session_present=True), publish(b"one", 1), publish(b"two", 2))
    assert [message.payload for message in it.inbox.dequeue(9, 99)] == [b"one", b"two"]


def test_messages_before_a_malformed_packet_are_kept():
    it = Fixture(first=False)
    with pytest.raises(ProtocolViolationError):
        it.hears(connack(session_present=True), publish(b"one", 1), b"\0\0")
    assert it.inbox.waiting == 1


def test_publishes_wait_until_the_broker_has_accepted_us():
    it = Fixture()
    it.outgoing.put_qos_0(OutgoingPublish("t", b"1"))
    assert [type(packet) for packet in it.said()] == [mqtt5.ConnectPacket]
    it.hears(connack())
    assert [type(packet) for packet in it.said()] == [mqtt5.SubscribePacket, mqtt5.PublishPacket]


def test_publishes_wait_while_the_network_takes_no_more():
    it = Fixture(first=False)
    it.said()
    it.hears(connack(session_present=True))
    it.outgoing.put_qos_0(OutgoingPublish("t", b"1"))
    assert it.connection.output(0.0, writable=False) == b""
    assert len(it.said()) == 1


@pytest.mark.parametrize(
    ("reason", "retryable"),
    [
        (mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, False),
        (mqtt5.ConnAckReasonCode.NOT_AUTHORIZED, False),
        (mqtt5.ConnAckReasonCode.CLIENT_ID_NOT_VALID, False),
        (mqtt5.ConnAckReasonCode.UNSUPPORTED_PROTOCOL_VERSION, False),
        (mqtt5.ConnAckReasonCode.BANNED, False),
        (mqtt5.ConnAckReasonCode.SERVER_BUSY, True),
        (mqtt5.ConnAckReasonCode.SERVER_UNAVAILABLE, True),
        (mqtt5.ConnAckReasonCode.CONNECTION_RATE_EXCEEDED, True),
    ],
)
def test_a_refusal_carries_its_reason_and_whether_to_try_again(
    reason: mqtt5.ConnAckReasonCode, retryable: bool
):
    with pytest.raises(ConnectRefusedError) as caught:
        Fixture().hears(mqtt5.ConnAckPacket(reason_code=reason, reason_str="why").write())
    assert (caught.value.reason, caught.value.retryable) == (reason, retryable)
    assert "why" in str(caught.value)


@pytest.mark.parametrize("granted", [0, 0x87, 0x8F])
def test_a_subscription_granted_less_than_asked_for_is_refused(granted: int):
    it = Fixture()
    it.hears(connack())
    with pytest.raises(SubscriptionRefusedError) as caught:
        it.hears(suback(granted))
    assert caught.value.topic_filter == "t/#"
    assert int(caught.value.reason) == granted
    assert not caught.value.retryable


def test_a_take_over_is_told_apart_from_other_disconnects():
    for reason, kind in (
        (mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER, SessionTakenOverError),
        (mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN, ServerDisconnectedError),
    ):
        it = Fixture(first=False)
        it.hears(connack(session_present=True))
        with pytest.raises(kind) as caught:
            it.hears(mqtt5.DisconnectPacket(reason_code=reason).write())
        assert caught.value.retryable is (kind is ServerDisconnectedError)


def test_a_message_with_qos_2_is_a_clear_error():
    it = Fixture(first=False)
    message = mqtt5.PublishPacket("t/1", b"", qos=mqtt5.QoS.EXACTLY_ONCE, packet_id=1)
    with pytest.raises(UnsupportedQosError, match="t/1"):
        it.hears(connack(session_present=True), message.write())


def test_a_broker_above_our_receive_maximum_is_told_so():
    it = Fixture(SessionOptions("c", receive_maximum=2), first=False)
    with pytest.raises(ProtocolViolationError) as caught:
        it.hears(connack(), *(publish(b"", packet_id) for packet_id in (1, 2, 3)))
    assert caught.value.disconnect_reason is mqtt5.DisconnectReasonCode.RECEIVE_MAX_EXCEEDED


def connected_at_0() -> Fixture:
    it = Fixture(first=False)
    it.said()
    it.hears(connack(session_present=True))
    assert it.connection.tick_interval_s == 5
    return it


def test_an_idle_connection_pings_after_half_the_keepalive():
    it = connected_at_0()
    it.connection.tick(9.9)
    assert it.said(9.9) == []
    it.connection.tick(10.0)
    assert [type(packet) for packet in it.said(10.0)] == [mqtt5.PingReqPacket]


def test_one_that_only_sends_pings_too_for_it_has_to_hear_something():
    it = connected_at_0()
    it.outgoing.put_qos_0(OutgoingPublish("t", b""))
    it.said(9.0)
    it.connection.tick(10.0)
    assert len(it.said(10.0)) == 1


def test_a_peer_silent_for_one_and_a_half_keepalives_is_dead():
    it = connected_at_0()
    it.hears(mqtt5.PingRespPacket().write(), now_s=10.0)
    it.connection.tick(40.0)
    with pytest.raises(PeerSilentError) as caught:
        it.connection.tick(40.1)
    assert caught.value.retryable
    assert caught.value.silent_s == pytest.approx(30.1)


def test_silence_counts_for_nothing_while_we_do_not_read():
    it = connected_at_0()
    it.connection.pause_reading()
    it.connection.tick(1_000.0)
    it.connection.resume_reading(1_000.0)
    it.connection.tick(1_030.0)
    with pytest.raises(PeerSilentError):
        it.connection.tick(1_030.1)


def test_the_brokers_keepalive_counts_where_it_names_one():
    it = Fixture(first=False)
    it.hears(mqtt5.ConnAckPacket(session_present=True, server_keep_alive=4).write())
    assert it.connection.tick_interval_s == 1


def test_without_keepalive_nothing_ticks():
    it = Fixture(SessionOptions("c", keepalive_s=0), first=False)
    it.said()
    it.hears(connack())
    assert it.connection.tick_interval_s is None
    it.connection.tick(1e6)
    assert it.said(1e6) == []


def test_disconnect_is_the_last_word_and_is_not_said_before_the_broker_answered():
    normal = mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION
    it = connected_at_0()
    it.connection.disconnect(normal)
    it.outgoing.put_qos_0(OutgoingPublish("t", b""))
    assert it.said() == [mqtt5.DisconnectPacket(reason_code=normal)]
    unanswered = Fixture()
    unanswered.said()
    unanswered.connection.disconnect(normal)
    assert unanswered.said() == []
