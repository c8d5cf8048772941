"""A process under measurement: started, asked over HTTP how far it is, ended in order."""

import os
import re
import signal
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.host.process import Command, PartFailed, Process, how_it_ended, wait_until

READY_TIMEOUT_S = 120.0
STOP_SIGNALS = [(signal.SIGINT, 30.0)]


@dataclass(frozen=True, slots=True)
class SubjectPlan:
    """The program to start, and where it says that it is ready and how many fixes it has stored."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    ready_url: str
    metrics_url: str
    counter: str


class Subject:
    """A subject that is ready."""

    def __init__(self, plan: SubjectPlan, process: Process) -> None:
        self._plan, self._process = plan, process
        self._line = re.compile(rf"^{re.escape(plan.counter)} (\S+)$", re.MULTILINE)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stored_fixes(self) -> int:
        """Return how many fixes the subject says it has committed. Raises PartFailed where it does
        not say.
        """
        try:
            with urllib.request.urlopen(self._plan.metrics_url, timeout=10) as answer:
                found = self._line.search(answer.read().decode())
        except OSError as error:
            raise self._failure(f"does not answer: {error}") from error
        if found is None:
            raise self._failure(f"has no metric {self._plan.counter}")
        return int(float(found[1]))

    def _failure(self, problem: str) -> PartFailed:
        return PartFailed(self._plan.name, problem, self._process.command.log)


@contextmanager
def running(plan: SubjectPlan, log: Path) -> Iterator[Subject]:
    """Provide a process that is ready inside of the block and gone after it. Raises PartFailed
    where it does not become ready, or ends before the block does.
    """
    process = Process(
        Command(
            name=plan.name,
            argv=plan.argv,
            log=log,
            stop_signals=STOP_SIGNALS,
            death_signal=signal.SIGKILL,
            environment=plan.environment,
        )
    )
    try:
        wait_until(process, lambda: _answers(plan.ready_url), READY_TIMEOUT_S)
        try:
            yield Subject(plan, process)
        finally:  # whatever failed in the block failed because of it
            if (code := process.exit_code) is not None:
                raise PartFailed(plan.name, f"ended too soon ({how_it_ended(code)})", log)
    finally:
        process.stop()


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, seconds. (proc(5): utime and stime.)"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_mib(pid: int) -> tuple[float, float]:
    """Return the memory that a process holds, and the most that it has held. (proc(5): VmRSS,
    VmHWM.)
    """
    status = Path(f"/proc/{pid}/status").read_text()
    held, most = (int(status.partition(key)[2].split()[0]) for key in ("VmRSS:", "VmHWM:"))
    return held / 1024, most / 1024


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:  # refused, reset, timed out; urllib.error.URLError is one, an answer of 503 too
        return False
