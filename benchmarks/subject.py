"""A process under measurement: started, asked over HTTP how far it is, ended in order."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class SubjectFailed(Exception):
    """A process did not become ready, or ended when it should not."""

    def __init__(self, name: str, problem: str, log: Path) -> None:
        super().__init__(f"{name} {problem}; the end of its log:\n{log.read_text()[-2_000:]}")
        self.name = name


@dataclass(frozen=True, slots=True)
class SubjectPlan:
    """What to start, and where it says that it is ready and how many fixes it has stored."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    ready_url: str
    metrics_url: str
    counter: str


class Subject:
    """`with Subject(plan, log) as subject:` ready inside, gone outside."""

    def __init__(self, plan: SubjectPlan, log: Path) -> None:
        self._plan, self._log = plan, log
        self._line = re.compile(rf"^{re.escape(plan.counter)} (\S+)$", re.MULTILINE)

    def __enter__(self) -> "Subject":
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                list(self._plan.argv),
                env={**os.environ, **self._plan.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait(lambda: _answers(self._plan.ready_url), "did not become ready")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def stored_fixes(self) -> int:
        """How many fixes it says it has committed."""
        with urllib.request.urlopen(self._plan.metrics_url, timeout=10) as answer:
            found = self._line.search(answer.read().decode())
        if found is None:
            raise SubjectFailed(self._plan.name, f"has no metric {self._plan.counter}", self._log)
        return int(float(found[1]))

    def _wait(self, ready: Callable[[], bool], problem: str) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not ready():
            if self._process.poll() is not None:
                raise SubjectFailed(self._plan.name, "ended", self._log)
            if time.monotonic() > deadline:
                raise SubjectFailed(self._plan.name, problem, self._log)
            time.sleep(0.05)


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, seconds. (proc(5): utime and stime.)"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
