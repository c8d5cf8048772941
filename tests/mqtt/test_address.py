"""Broker URLs and session options: what is taken, and what is said about the rest."""

import ssl

import pytest

from mqtt import BrokerAddress, SessionOptions, SessionWill, Subscription
from mqtt.client.options import check_payload, check_qos, check_topic
from mqtt.client.session import Backoff


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("mqtt://broker.example", "broker.example", 1883),
        ("mqtt://127.0.0.1:41883", "127.0.0.1", 41883),
        ("MQTT://Host:1/", "host", 1),
        ("mqtt://[::1]:1884", "::1", 1884),
        ("mqtts://broker.example", "broker.example", 8883),
    ],
)
def test_a_broker_url_names_host_and_port(url: str, host: str, port: int):
    address = BrokerAddress.parse(url)
    assert (address.host, address.port) == (host, port)
    assert BrokerAddress.parse(str(address)).host == host


def test_mqtts_means_tls_1_3_with_the_name_checked():
    tls = BrokerAddress.parse("mqtts://broker.example").tls
    assert tls is not None
    assert tls.minimum_version is ssl.TLSVersion.TLSv1_3
    assert tls.check_hostname
    assert tls.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "mqtt://"),
        ("broker:1883", "mqtt://"),
        ("http://broker", "mqtt://"),
        ("mqtt://", "no host"),
        ("mqtt://:1883", "no host"),
        ("mqtt://broker:0", "1..65535"),
        ("mqtt://broker:65536", "1..65535"),
        ("mqtt://broker:abc", "1..65535"),
        ("mqtt://u:secret@broker", "user name or password"),
        ("mqtt://broker/topic", "end after the port"),
        ("mqtt://broker?x=1", "end after the port"),
        ("mqtt://[::1", "cannot be read"),
        ("mqtt://" + "a" * 70, "no host name"),
        ("mqtt://a b", "blank"),
        ("mqtt://a\0b", "control character"),
    ],
)
def test_any_other_url_is_refused_with_the_reason(url: str, says: str):
    with pytest.raises(ValueError, match=says) as caught:
        BrokerAddress.parse(url)
    assert "secret" not in str(caught.value)


def test_a_tls_context_that_allows_less_than_1_3_is_refused():
    with pytest.raises(ValueError, match=r"TLS 1\.3"):
        BrokerAddress("h", 8883, ssl.create_default_context())


def test_certificates_for_a_plain_connection_are_refused(tmp_path):
    with pytest.raises(ValueError, match="mqtts"):
        BrokerAddress.parse("mqtt://h", ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_id": "a\0b"}, "NUL"),
        ({"client_id": "x" * 65_536}, "65535"),
        ({"username": "a\0b"}, "username"),
        ({"password": b"x" * 65_536}, "password"),
        ({"keepalive_s": -1}, "keepalive_s"),
        ({"keepalive_s": 65_536}, "keepalive_s"),
        ({"receive_maximum": 0}, "receive_maximum"),
        ({"receive_maximum": 65_535}, "receive_maximum"),
        ({"session_expiry_s": 1 << 32}, "session_expiry_s"),
        ({"max_buffered_bytes": 0}, "max_buffered_bytes"),
        ({"max_packet_bytes": 1 << 30}, "max_packet_bytes"),
        ({"max_pending_publishes": 65_535}, "max_pending_publishes"),
        ({"connect_timeout_s": 0}, "connect_timeout_s"),
        ({"reconnect_min_s": 2, "reconnect_max_s": 1}, "reconnect"),
        ({"reconnect_min_s": 0}, "reconnect"),
    ],
)
def test_options_out_of_range_are_refused_by_name(fields: dict[str, object], says: str):
    with pytest.raises(ValueError, match=says):
        SessionOptions(**{"client_id": "c", **fields})  # pyright: ignore[reportArgumentType]


def test_a_password_does_not_show_in_the_options_text():
    assert "hunter2" not in repr(SessionOptions("c", password=b"hunter2"))


@pytest.mark.parametrize("topic_filter", ["", "a/#/b", "a#", "a/b+"])
def test_a_bad_topic_filter_is_refused(topic_filter: str):
    with pytest.raises(ValueError, match="filter"):
        Subscription(topic_filter)


@pytest.mark.parametrize("topic", ["", "a/#", "a/+/b", "a\0b", "x" * 65_536])
def test_a_bad_topic_is_refused(topic: str):
    with pytest.raises(ValueError, match="topic"):
        check_topic(topic)
    with pytest.raises(ValueError, match="topic"):
        SessionWill(topic)


@pytest.mark.parametrize("qos", [2, 3, -1])
def test_a_qos_that_is_not_spoken_is_refused(qos: int):
    with pytest.raises(ValueError, match="QoS"):
        check_qos(qos)
    with pytest.raises(ValueError, match="QoS"):
        Subscription("t", qos=qos)


def test_a_payload_beyond_mqtt_is_refused():
    with pytest.raises(ValueError, match="payload"):
        check_payload(bytes(268_000_001))


def test_delays_double_while_connections_die_young_and_start_again_after_a_long_one():
    backoff = Backoff(0.1, 1.0, seed=1)
    for lived_s, bound_s in [(0, 0.1), (0, 0.2), (0.2, 0.4), (0, 0.8), (0, 1.0), (0.9, 1.0)]:
        assert bound_s / 2 <= backoff.next_delay_s(lived_s) <= bound_s
    assert backoff.next_delay_s(1.1) <= 0.1


def test_delays_of_one_seed_repeat_and_of_two_seeds_differ():
    def delays(seed: int) -> list[float]:
        backoff = Backoff(0.1, 1.0, seed)
        return [backoff.next_delay_s(0) for _ in range(5)]

    assert delays(1) == delays(1) != delays(2)
