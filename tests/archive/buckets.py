"""A store that speaks S3, as a process of its own, and a line to it that can be slow or cut."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stack.servers.postgres import free_port
from tests.clients.make import NODE_MODULES
from tests.clients.node import NODE

BUCKET = "fixes"


class Bucket:
    """A server with one bucket. program: what starts it on a port."""

    def __init__(self, log: Path, program: Callable[[int], list[str]], key: str = "key") -> None:
        self.port = free_port(0)
        self._key = key
        with log.open("wb") as file:
            self._process = subprocess.Popen(program(self.port), stdout=file, stderr=file)
        self._wait()

    def url(self, port: int | None = None) -> str:
        return (
            f"s3://{self._key}:{self._key}@{BUCKET}/some/where?scheme=http&region=us-east-1"
            f"&endpoint=127.0.0.1:{port or self.port}"
        )

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.go_on()
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise TimeoutError("the server of the bucket does not start")


class Line:
    """A port before a bucket. cut_after: bytes from the bucket, or to it, after which a connection
    ends; None: none does.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.cut_after: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for source, target in ((near, far), (far, near)):
                    pump = threading.Thread(target=self._pump, args=(source, target), daemon=True)
                    pump.start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(16_384):
                passed += len(piece)
                if self.cut_after is not None and passed > self.cut_after:
                    break
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_bucket(folder: Path) -> Iterator[Bucket]:
    """Run moto's server. What it stores ends with it."""

    def program(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    bucket = Bucket(folder / "moto.log", program)
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{bucket.port}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()
        yield bucket
    finally:
        bucket.end()


@contextmanager
def running_s3rver(folder: Path) -> Iterator[Bucket]:
    """Run s3rver, which stores files below a folder. It does not know checksums behind a body."""

    def program(port: int) -> list[str]:
        script = NODE_MODULES / "s3rver" / "bin" / "s3rver.js"
        places = ["--directory", str(folder / "objects"), "--configure-bucket", BUCKET]
        return [str(NODE), str(script), "--address", "127.0.0.1", "--port", str(port), *places]

    bucket = Bucket(folder / "s3rver.log", program, key="S3RVER")
    try:
        yield bucket
    finally:
        bucket.end()
