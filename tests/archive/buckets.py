"""A store that speaks S3, as a process of its own, and a line to it that can be slow or cut."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stack.servers.postgres import free_port

BUCKET = "fixes"


class Bucket:
    """moto's server with one bucket. What it stores ends with it."""

    def __init__(self, log: Path) -> None:
        self.port = free_port(0)
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=file,
                stderr=file,
            )
        self._wait()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request).close()

    def url(self, port: int | None = None) -> str:
        return (
            f"s3://key:secret@{BUCKET}/some/where?scheme=http&region=us-east-1"
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
        raise TimeoutError("moto does not start")


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
    bucket = Bucket(folder / "moto.log")
    try:
        yield bucket
    finally:
        bucket.end()
