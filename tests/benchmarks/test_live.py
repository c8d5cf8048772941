"""The processes of the live benchmark: late connections are waited for, and an end is noticed."""

import socket
import time
from contextlib import ExitStack

import pytest

from benchmarks.live.children import Children
from benchmarks.live.run import check_open_files
from stack.errors import StackError
from stack.servers.postgres import free_port
from tests.waiting import PATIENCE_S

ANY_PORT = 0


def test_the_raw_server_waits_for_connections_that_it_has_not_accepted_yet() -> None:
    port = free_port(ANY_PORT)
    with ExitStack() as ending:
        children = Children(ending)
        server = children.start("benchmarks.live.raw", port, 2, 3, 100)
        assert children.line(server, "it listens", PATIENCE_S) == "listening"
        first = ending.enter_context(socket.create_connection(("127.0.0.1", port)))
        server.write_line("go")
        first.settimeout(0.3)
        with pytest.raises(TimeoutError):
            first.recv(1)
        second = ending.enter_context(socket.create_connection(("127.0.0.1", port)))
        for one in (first, second):
            one.settimeout(PATIENCE_S)
            frames = b""
            while len(frames) < 3 * 102:
                piece = one.recv(1024)
                assert piece, "the server has ended"
                frames += piece
            assert frames.count(b'"op":"event"') == 3


def test_a_measurement_fails_as_soon_as_one_of_its_processes_ends() -> None:
    with ExitStack() as ending:
        children = Children(ending)
        server = children.start("benchmarks.live.raw", free_port(ANY_PORT), 1, 1, 100)
        children.line(server, "it listens", PATIENCE_S)
        children.start("benchmarks.live.readers", free_port(ANY_PORT), 1, 1)  # nobody listens
        began_s = time.monotonic()
        with pytest.raises(StackError, match=r"readers ended with 1.* waited for: a second line"):
            children.line(server, "a second line", 10 * PATIENCE_S)
        assert time.monotonic() - began_s < 5 * PATIENCE_S


def test_a_process_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with ExitStack() as ending:
        children = Children(ending)
        server = children.start("benchmarks.live.raw", free_port(ANY_PORT), 1, 1, 100)
        children.line(server, "it listens", PATIENCE_S)
        with pytest.raises(StackError, match=r"not within 0\.3 s: a second line"):
            children.line(server, "a second line", 0.3)


def test_too_few_open_files_are_noticed_before_anything_is_measured() -> None:
    check_open_files(10)
    with pytest.raises(StackError, match="hard limit"):
        check_open_files(2_000_000_000)
