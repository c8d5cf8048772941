"""Where `opsc up` has devices connect, by settings, limits and certificate."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.servers.listening import Listening, claim_boxes, listening, require_certificate
from stack.servers.ports import Ports, PortTaken
from stack.servers.postgres import free_port
from stack.servers.tls import Certificate

CERTIFICATE = Certificate(Path("chain.pem"), Path("key.pem"))


@pytest.mark.parametrize(
    ("where", "url", "is_plain_for_all"),
    [
        (Listening("127.0.0.1", 1883, None), "mqtt://127.0.0.1:1883", False),
        (Listening("localhost", 1883, 8883), "mqtt://localhost:1883", False),
        (Listening("0.0.0.0", 1883, None), "mqtt://127.0.0.1:1883", True),
        (Listening("::", 1883, 8883), "mqtt://127.0.0.1:1883", True),
        (Listening("fd00::5", 1883, None), "mqtt://[fd00::5]:1883", True),
        (Listening("0.0.0.0", None, 8883), "mqtts://127.0.0.1:8883", False),
    ],
)
def test_programs_here_connect_to_the_plain_port_where_there_is_one(
    where: Listening, url: str, is_plain_for_all: bool
) -> None:
    assert (where.url, where.is_plain_for_all) == (url, is_plain_for_all)


def test_the_plain_port_can_be_left_out_where_there_is_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSC_LISTEN_PORT", "0")
    where = listening(Ports(), CERTIFICATE)
    assert where.port is None
    assert where.variables()["OPSC_LISTEN_PORT"] == "0"
    assert where.variables()["OPSC_LISTEN_TLS_PORT"] == str(where.tls_port)
    with pytest.raises(StackError, match="OPSC_LISTEN_PORT=0 needs TLS"):
        listening(Ports(), None)


def test_a_port_that_a_setting_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port(0)
    monkeypatch.setenv("OPSC_LISTEN_PORT", str(port))
    ports = Ports()
    ports.claim("OPSC_LISTEN_PORT")
    assert listening(ports, None).port == port


def test_each_address_of_a_port_for_boxes_is_taken_but_those_of_udp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = free_port(0)
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setenv("OPSC_LISTEN_MEITRACK", f"udp://127.0.0.1:{taken}")
        claim_boxes()
        for way in ("", "tls://"):
            wanted = f"127.0.0.1:{free_port(0)}, {way}127.0.0.1:{taken}"
            monkeypatch.setenv("OPSC_LISTEN_MEITRACK", wanted)
            with pytest.raises(PortTaken, match="OPSC_LISTEN_MEITRACK"):
                claim_boxes()


@pytest.mark.parametrize(
    "name", ["OPSC_LISTEN_TLS_PORT", "OPSC_LISTEN_TLS12_PORT", "OPSC_LISTEN_CLIENT_CA"]
)
def test_what_needs_a_certificate_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8884")
    with pytest.raises(StackError, match=f"{name} needs TLS"):
        require_certificate(None)


def test_there_are_as_many_connections_as_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 4_096))
    where = Listening("127.0.0.1", 1883, None)
    assert where.variables()["OPSC_LISTEN_MAX_CONNECTIONS"] == "4032"
    monkeypatch.setenv("OPSC_LISTEN_MAX_CONNECTIONS", "9000")
    assert "OPSC_LISTEN_MAX_CONNECTIONS" not in where.variables()
