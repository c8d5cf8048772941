"""Ports that settings name are had or refused; usual ones give way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.servers.ports import Ports, PortTaken
from stack.servers.postgres import free_port

VARIABLE = "OPSC_API_PORT"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_taken_port_that_a_setting_names_is_refused_with_its_holder(
    monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    monkeypatch.setenv(VARIABLE, str(taken))
    with pytest.raises(PortTaken) as refused:
        Ports().claim(VARIABLE)
    for word in (VARIABLE, str(taken), f"(process {os.getpid()})"):
        assert word in str(refused.value)


def test_a_port_that_a_setting_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    port, ports = free_port(0), Ports()
    monkeypatch.setenv(VARIABLE, str(port))
    ports.claim(VARIABLE)
    assert ports.address("api", VARIABLE, 8000) == ("127.0.0.1", port)
    monkeypatch.setenv(VARIABLE, f"0.0.0.0:{free_port(0)}")
    ports.claim(VARIABLE)
    assert ports.address("api", VARIABLE, 8000)[0] == "0.0.0.0"
    assert ports.moved == []


def test_a_usual_port_that_is_taken_gives_way_and_is_told(taken: int) -> None:
    ports = Ports()
    _, port = ports.address("api", VARIABLE, taken)
    assert port != taken
    (told,) = ports.moved
    for word in (f"port {taken} is taken by", str(os.getpid()), f"api has {port}"):
        assert word in told


def test_a_port_that_another_process_has_taken_for_itself_is_not_given_and_leaves_no_file(
    tmp_path: Path,
) -> None:
    port = free_port(0)
    code = f"from stack.servers.postgres import free_port; print(free_port({port})); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == f"{port}\n"
        assert free_port(port) != port
        other.communicate("\n")
    assert free_port(port) == port
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "127.0.0.1:"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(StackError, match=f"{VARIABLE} must have a port number"):
        Ports().claim(VARIABLE)
