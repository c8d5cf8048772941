"""The API and its ceiling as processes of their own, and one operation asked of both.

The ceiling answers the same bytes on the same server (`benchmarks.api.bare`). Both are asked within
a second or two of each other, by the same load; the one that does not work meanwhile costs nothing.
"""

import base64
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import msgspec

from api.auth.access_tokens import Grant, Tokens
from benchmarks.api import rows as api_rows
from benchmarks.api.bare import ReadyAnswer
from benchmarks.api.http_load import Load, Outcome
from benchmarks.api.operations import Operation
from benchmarks.common import rows as setup_rows
from benchmarks.common.drive import DriveFailed
from benchmarks.common.environment import Environment
from benchmarks.common.subject import SubjectPlan, children, cpu_s, running
from db.core.secrets import read_secret_keys
from stack.servers.postgres import free_port

CONNECTIONS = 16
_AT_HALF = 0.5  # of what was answered: the rate at which latencies are measured


@dataclass(frozen=True, slots=True)
class Figure:
    """One operation of one round. Of a request: processor time of the API's processes, of
    PostgreSQL's, of the ceiling's; database_us: how long the database was at work on statements."""

    per_s: float
    ceiling_per_s: float
    api_us: float
    postgresql_us: float
    database_us: float
    ceiling_us: float
    p50_ms: float
    p99_ms: float
    answer_bytes: int

    @property
    def ratio(self) -> float:
        return self.per_s / self.ceiling_per_s


@dataclass(frozen=True, slots=True)
class Server:
    """Its processes and where it listens."""

    port: int
    pid: int

    def used_s(self) -> float:
        """Return the processor time so far."""
        return sum(cpu_s(pid) for pid in (self.pid, *children(self.pid)))


@dataclass(frozen=True, slots=True)
class Caller:
    """The credential of the requests."""

    token: str
    api_key: str

    def requests(self, operation: Operation, targets: Sequence[str]) -> list[bytes]:
        """Return the requests as they go out."""
        secret = self.api_key if operation.by_key else self.token
        headers = {
            "Host": "127.0.0.1",
            "Authorization": f"Bearer {secret}",
            "User-Agent": "opsc-bench",
            "Accept": "*/*",
            **dict(operation.headers),
        }
        if operation.body:
            headers["Content-Length"] = str(len(operation.body))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return [
            f"{operation.method} {target} HTTP/1.1\r\n{head}\r\n".encode() + operation.body
            for target in targets
        ]


class ApiBench:
    """The operations, over one environment whose rows are there."""

    def __init__(self, environment: Environment, operations: Sequence[Operation]) -> None:
        self._environment, self._operations = environment, operations
        self._secret_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        grant = Grant(setup_rows.ORGANIZATION, api_rows.USER, api_rows.SIGN_IN)
        token = Tokens(read_secret_keys(self._secret_key), 86_400).issue(grant)
        self._caller = Caller(token, api_rows.add_caller(environment.admin))

    @contextmanager
    def served(self, workers: int) -> Iterator[tuple[Server, Server]]:
        """Provide the API and its ceiling, with this many processes each."""
        folder = self._environment.folder
        with ExitStack() as ending:
            api = self._start(ending, "api", "api", workers)
            answers = {f"/{one.name}": self._answer(api, one) for one in self._operations}
            answers["/readyz"] = ReadyAnswer(200, b"{}")
            (folder / "answers").write_bytes(msgspec.json.encode(answers))
            yield api, self._start(ending, "bare", "benchmarks.api.bare", workers)

    def measure(
        self, operation: Operation, servers: tuple[Server, Server], seconds: float
    ) -> Figure:
        """Return the ceiling, ours, and ours again at half the rate."""
        api, bare = servers
        bare_requests = self._caller.requests(operation, [operation.path])
        requests = self._caller.requests(operation, operation.targets)
        used_s = bare.used_s()
        ceiling = self._load(bare, bare_requests, operation.status, seconds / 2)
        bare_s = bare.used_s() - used_s
        used_s, database_s, at_work_us = api.used_s(), self._database_s(), self._at_work_us()
        ours = self._load(api, requests, operation.status, seconds)
        api_s, postgresql_s = api.used_s() - used_s, self._database_s() - database_s
        at_work_us = self._at_work_us() - at_work_us
        at_half = self._load(api, requests, operation.status, seconds, ours.per_s * _AT_HALF)
        return Figure(
            per_s=ours.per_s,
            ceiling_per_s=ceiling.per_s,
            api_us=api_s / ours.answered * 1e6,
            postgresql_us=postgresql_s / ours.answered * 1e6,
            database_us=at_work_us / ours.answered,
            ceiling_us=bare_s / ceiling.answered * 1e6,
            p50_ms=at_half.p50_ms,
            p99_ms=at_half.p99_ms,
            answer_bytes=ours.bytes_received // ours.answered,
        )

    def _database_s(self) -> float:
        return sum(cpu_s(pid) for pid in setup_rows.server_pids(self._environment.admin))

    def _at_work_us(self) -> float:
        return api_rows.at_work_us(self._environment.admin)

    def _load(
        self,
        server: Server,
        requests: Sequence[bytes],
        status: int,
        seconds: float,
        rate: float | None = None,
    ) -> Outcome:
        file = self._environment.folder / "load"
        load = Load(server.port, requests, status, CONNECTIONS, seconds, rate)
        file.write_bytes(msgspec.json.encode(load))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.api.http_load", str(file)],
            capture_output=True,
            timeout=seconds + 30,
            check=False,
        )
        if done.returncode != 0:
            raise DriveFailed(done.stderr.decode())
        return msgspec.json.decode(done.stdout, type=Outcome)

    def _answer(self, api: Server, operation: Operation) -> ReadyAnswer:
        """Return what the API answers to the first request."""
        body = operation.body or None
        request = urllib.request.Request(
            f"http://127.0.0.1:{api.port}{operation.targets[0]}", body, method=operation.method
        )
        secret = self._caller.api_key if operation.by_key else self._caller.token
        request.add_header("Authorization", f"Bearer {secret}")
        for name, value in operation.headers:
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return ReadyAnswer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            raise DriveFailed(f"{operation.name}: {error.read().decode()}") from error

    def _start(self, ending: ExitStack, name: str, module: str, workers: int) -> Server:
        port, folder = free_port(0), self._environment.folder
        url = f"http://127.0.0.1:{port}/readyz"
        plan = SubjectPlan(
            name=name,
            argv=[sys.executable, "-m", module],
            environment={
                "OPSC_DATABASE_URL": self._environment.app_url,
                "OPSC_SECRET_KEY": self._secret_key,
                "OPSC_API_PORT": str(port),
                "OPSC_API_PROCESSES": str(workers),
                "OPSC_API_HTTP": f"127.0.0.1:{free_port(0)}",
                "BENCH_ANSWERS": str(folder / "answers"),
            },
            ready_url=url,
            metrics_url=url,
            counter="",
        )
        subject = ending.enter_context(running(plan, folder / f"{name}.log"))
        return Server(port, subject.pid)
