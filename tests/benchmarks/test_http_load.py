"""The load generator for HTTP, against a server that does next to nothing."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from benchmarks.api.http_load import UNIQUE, Load, Outcome

KEYS: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        KEYS.append(self.headers["Idempotency-Key"])
        self.send_response(200 if self.path == "/good" else 404)
        self.send_header("Content-Length", "5000")
        self.end_headers()
        self.wfile.write(b"x" * 5000)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _run(load: Load, folder: Path) -> subprocess.CompletedProcess[bytes]:
    (folder / "load").write_bytes(msgspec.json.encode(load))
    command = [sys.executable, "-m", "benchmarks.api.http_load", str(folder / "load")]
    return subprocess.run(command, capture_output=True, check=False)


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nIdempotency-Key: {UNIQUE.decode()}\r\n\r\n".encode()


def test_answers_are_counted_and_each_request_is_another(port: int, tmp_path: Path) -> None:
    KEYS.clear()
    done = _run(Load(port, [_request("/good")], 200, connections=3, seconds=0.5), tmp_path)
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    assert outcome.answered == len(KEYS) == len(set(KEYS)) > 3
    assert outcome.bytes_received > outcome.answered * 5000
    assert 0 < outcome.p50_ms <= outcome.p99_ms


def test_with_a_rate_no_more_is_sent(port: int, tmp_path: Path) -> None:
    load = Load(port, [_request("/good")], 200, connections=3, seconds=0.5, rate=40)
    outcome = msgspec.json.decode(_run(load, tmp_path).stdout, type=Outcome)
    assert outcome.answered == 20


def test_another_status_ends_the_run(port: int, tmp_path: Path) -> None:
    done = _run(Load(port, [_request("/bad")], 200, connections=1, seconds=0.5), tmp_path)
    assert done.returncode == 1
    assert b"404" in done.stderr
