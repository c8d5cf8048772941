"""A listener and an ingest as processes of their own over a test database, linked by a unix socket.

    with running(database) as system:
        ... BrokerAddress.parse(system.url) ...
        system.ingest.kill()
        system.ingest.start()

Devices reach `system.url`. Settings (`OPSC_...`) can be given to both processes. A process can be
killed, frozen and started again on the same ports, which is how tests break it on purpose.
"""

import os
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.host.process import Command, Process, last_lines
from stack.servers.postgres import free_port
from tests.servers import ANY_PORT, DatabaseUnderTest

READY_S = 60.0
STOP_S = 20.0


@dataclass(slots=True)
class RoleProcess:
    """A role as a process. http: host and port of its page of health."""

    module: str
    http: str
    log: Path
    settings: Mapping[str, str]
    _process: Process | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """The process that runs now, or ran last."""
        assert self._process is not None, f"{self.module} was not started"
        return self._process.pid

    def start(self) -> None:
        """Start the process; return once it says that it is ready."""
        command = Command(
            name=self.module,
            argv=[sys.executable, "-P", "-m", self.module],
            log=self.log,
            stop_signals=[(signal.SIGTERM, STOP_S)],
            death_signal=signal.SIGKILL,
            environment=self.settings,
        )
        self._process = Process(command)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return once the page of health says so; fail the test with the log where it does not."""
        assert self._process is not None, f"{self.module} was not started"
        deadline = time.monotonic() + READY_S
        while not self.is_ready():
            assert self._process.exit_code is None, f"it ended:\n{last_lines(self.log)}"
            assert time.monotonic() < deadline, f"it is not ready:\n{last_lines(self.log)}"
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process in order."""
        if self._process is not None:
            self._process.signal(signal.SIGCONT)
            self._process.stop()

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.kill()

    def freeze(self) -> None:
        """Let the process do nothing, with its connections open, until `thaw`."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def page(self, path: str) -> str:
        """Read a page of the process, /metrics for one."""
        with urllib.request.urlopen(f"http://{self.http}{path}", timeout=5) as response:
            return response.read().decode()

    def is_ready(self) -> bool:
        """Return whether the page of health says so."""
        try:
            self.page("/readyz")
        except (urllib.error.URLError, OSError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class System:
    """Both roles. host and port: where devices connect. ingest_url: where they send by HTTP.
    teltonika_port and the others: for boxes, by their IMEI; all but GT06 by UDP, too.
    """

    listener: RoleProcess
    ingest: RoleProcess
    host: str
    port: int
    ingest_url: str
    teltonika_port: int
    gt06_port: int
    queclink_port: int
    h02_port: int
    meitrack_port: int

    @property
    def url(self) -> str:
        """The URL at which devices connect, as mqtt://host:port."""
        return f"mqtt://{self.host}:{self.port}"


@contextmanager
def running(
    database: DatabaseUnderTest,
    listener: Mapping[str, str] | None = None,
    ingest: Mapping[str, str] | None = None,
) -> Iterator[System]:
    """Provide both processes, ready; they are ended with the block."""
    with tempfile.TemporaryDirectory(prefix="opsc-test-") as name:
        system = _system(database, Path(name), listener or {}, ingest or {})
        try:
            system.ingest.start()
            system.listener.start()
            yield system
        finally:
            system.listener.stop()
            system.ingest.stop()


def _system(
    database: DatabaseUnderTest,
    folder: Path,
    listener: Mapping[str, str],
    ingest: Mapping[str, str],
) -> System:
    # The last one: further processes of the listener have the next ports.
    ports = (free_port(ANY_PORT) for _ in range(9))
    door, teltonika, gt06, queclink, h02, meitrack, listens, ingest_http, listener_http = ports
    of_ingest = {
        "OPSC_DATABASE_URL": database.url("opsc_ingest"),
        **({} if "OPSC_LOG_URL" in ingest else {"OPSC_INGEST_LINK": f"unix:{folder}/ingest.sock"}),
        "OPSC_INGEST_HTTP": f"127.0.0.1:{ingest_http}",
        "OPSC_INGEST_LEASE_S": "2",
        **ingest,
    }
    of_listener = {
        "OPSC_DATABASE_URL": database.url("opsc_listen"),
        "OPSC_LISTEN_PORT": str(listens),
        "OPSC_LISTEN_HTTP": f"127.0.0.1:{listener_http}",
        "OPSC_LISTEN_INGEST_HTTP": f"127.0.0.1:{door}",
        "OPSC_LISTEN_TELTONIKA": _tcp_and_udp(teltonika),
        "OPSC_LISTEN_GT06": f"127.0.0.1:{gt06}",
        "OPSC_LISTEN_QUECLINK": _tcp_and_udp(queclink),
        "OPSC_LISTEN_H02": _tcp_and_udp(h02),
        "OPSC_LISTEN_MEITRACK": _tcp_and_udp(meitrack),
        "OPSC_LISTEN_MAX_CONNECTIONS": "200",
        **listener,
    }
    pages = (of_ingest["OPSC_INGEST_HTTP"], of_listener["OPSC_LISTEN_HTTP"])
    return System(
        ingest=RoleProcess("ingest", pages[0], folder / "ingest.log", of_ingest),
        listener=RoleProcess("listener", pages[1], folder / "listener.log", of_listener),
        host="127.0.0.1",
        port=listens,
        ingest_url=f"http://127.0.0.1:{door}/v1/ingest",
        teltonika_port=teltonika,
        gt06_port=gt06,
        queclink_port=queclink,
        h02_port=h02,
        meitrack_port=meitrack,
    )


def _tcp_and_udp(port: int) -> str:
    return f"127.0.0.1:{port}, udp://127.0.0.1:{port}"
