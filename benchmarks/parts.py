"""The parts of a round: two ceilings, our ingest, the baseline. Each gives one rate.

Every part begins with empty tables and ends when all that was sent is stored: a part whose rows are
not exactly those sent has no rate and fails the run.
"""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shutil import rmtree
from time import monotonic, time

from benchmarks import copy_ceiling, latency, setup_rows, workload
from benchmarks.drive import Drive, DriveFailed, Timing
from benchmarks.environment import Environment
from benchmarks.gauges import Cell, Gauges
from benchmarks.latency import Latency
from benchmarks.packets import CONNACK_BYTES, DISCONNECT, connect
from benchmarks.payloads import Form
from benchmarks.setup_rows import Stored
from benchmarks.stream import write_stream
from benchmarks.subject import SubjectPlan, cpu_s, memory_mib, running

CONNECTIONS = 100
INGEST_CLIENT_ID = "opsc-ingest"


@dataclass(frozen=True, slots=True)
class Load:
    """A shape of message."""

    fixes_per_message: int
    form: Form
    fixes_per_tracker: int  # in one pass

    @property
    def name(self) -> str:
        return f"{self.fixes_per_message}-{self.form}"


ONE_JSON = Load(1, Form.JSON, 120)
TWENTY_JSON = Load(20, Form.JSON, 480)
TWENTY_PACKED = Load(20, Form.PACKED, 480)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one part gave once.

    per_s: fixes (the broker's ceiling: messages of one fix) a second. cores: processor time per
    second of the window, of the processes that this part kept busy. memory_mib: what the
    subject held in the end, and at the most.
    """

    per_s: float
    cores: Mapping[str, float]
    events_per_fix: float | None = None
    memory_mib: float | None = None
    most_memory_mib: float | None = None
    latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class _Driven:
    """One measurement. between_s: its two instants, seconds since 1970. sent: messages."""

    figure: Figure
    between_s: tuple[float, float]
    sent: int


class Bench:
    """The parts, over one environment."""

    def __init__(
        self,
        environment: Environment,
        plan: workload.Plan,
        timing: Timing,
        copy_rows: int,
        profile: Path | None,
    ) -> None:
        self._environment, self._plan, self._timing = environment, plan, timing
        self._copy_rows, self._profile = copy_rows, profile
        self._streams: dict[str, Path] = {}
        self._gauges = environment.folder / "gauges"
        self._sent_log = environment.folder / "sent.npz"
        setup_rows.remove_fleet(environment.admin)
        setup_rows.add_fleet(environment.admin, plan.trackers, workload.zone_rings(plan))

    def broker_ceiling(self) -> Figure:
        """Messages of one fix through the broker, to a subscriber that only counts."""
        gauges = Gauges(self._gauges, create=True)
        arguments = [str(self._gauges), str(self._environment.broker_port), "trackers/+/fixes"]
        subscriber = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.counting_subscriber", *arguments],
            stdout=subprocess.PIPE,
        )
        try:
            assert subscriber.stdout is not None
            if subscriber.stdout.readline() != b"subscribed\n":
                raise DriveFailed("the counting subscriber did not subscribe")

            def received() -> int:
                return gauges[Cell.RECEIVED]

            return self._drive(
                ONE_JSON,
                received,
                lambda: Stored(received(), time()),
                {"subscriber": [subscriber.pid]},
            ).figure
        finally:
            subscriber.terminate()
            subscriber.wait()

    def copy_ceiling(self) -> Figure:
        """Rows that one writer brings into the database."""
        setup_rows.empty(self._environment.admin)
        url = self._environment.ingest_url
        per_s, cores = asyncio.run(copy_ceiling.copied(url, self._copy_buffers))
        return Figure(per_s, {"database": cores})

    def ours(
        self, load: Load, rate: float | None = None, settings: Mapping[str, str] | None = None
    ) -> Figure:
        """Fixes that our ingest brings from the broker into the database, everything on.

        rate: messages a second; then the figure has a latency. settings: of ingest, by variable.
        """
        plan = self._environment.ours()
        plan = replace(plan, environment={**plan.environment, **(settings or {})})
        return self._stored(load, plan, rate, self._profile)

    def baseline(self, load: Load) -> Figure:
        """The same for the pipeline that most people would write."""
        return self._stored(load, self._environment.baseline())

    def _stored(
        self,
        load: Load,
        plan: SubjectPlan,
        rate: float | None = None,
        profile: Path | None = None,
    ) -> Figure:
        admin = self._environment.admin
        setup_rows.empty(admin)
        Gauges(self._gauges, create=True)
        log = self._environment.folder / f"{plan.name}.log"
        with ExitStack() as ending:
            subject = ending.enter_context(running(plan, log))
            if profile is not None:
                ending.enter_context(_recorded(subject.pid, profile, load))
            flushes, flush_ms = setup_rows.flushes(admin)
            driven = self._drive(
                load,
                lambda: subject.stored_fixes() // load.fixes_per_message,
                lambda: setup_rows.count_fixes(admin),
                {plan.name: [subject.pid], "database": setup_rows.server_pids(admin)},
                rate,
            )
            held_mib, most_mib = memory_mib(subject.pid)
        self._forget_session()
        stored, wanted = setup_rows.count_fixes(admin).rows, driven.sent * load.fixes_per_message
        if stored != wanted:
            raise DriveFailed(f"{plan.name} stored {stored} of {wanted} fixes")
        return replace(
            driven.figure,
            events_per_fix=setup_rows.count_events(admin) / stored,
            memory_mib=held_mib,
            most_memory_mib=most_mib,
            latency=None if rate is None else self._latency(load, driven, (flushes, flush_ms)),
        )

    def _latency(self, load: Load, driven: _Driven, flushes_before: tuple[int, float]) -> Latency:
        admin, chosen = self._environment.admin, latency.sampled(self._plan.trackers)
        sent = latency.sent_times(self._stream(load), self._sent_log, chosen)
        count, took_ms = setup_rows.flushes(admin)
        before, before_ms = flushes_before
        flush_ms = (took_ms - before_ms) / max(1, count - before)
        return Latency.of(latency.taken_ms(admin, sent, chosen, *driven.between_s), flush_ms)

    def _drive(
        self,
        load: Load,
        done: Callable[[], int],
        mark: Callable[[], Stored],
        pids: Mapping[str, Sequence[int]],
        rate: float | None = None,
    ) -> _Driven:
        port, sent_log = self._environment.broker_port, None if rate is None else self._sent_log
        drive = Drive(self._stream(load), self._gauges, port, done, rate, sent_log)
        watched = {**pids, "broker": [self._environment.broker_pid], "load": [drive.load_pid]}

        def marks() -> tuple[dict[str, float], float, Stored]:
            used_s = {name: sum(map(cpu_s, group)) for name, group in watched.items()}
            return used_s, monotonic(), mark()

        try:
            (cpu_before, start, first), (cpu_after, end, last) = drive.measure(self._timing, marks)
            sent = drive.finish()
        except BaseException:
            drive.abandon()
            raise
        cores = {
            name: (cpu_after[name] - before) / (end - start) for name, before in cpu_before.items()
        }
        per_s = (last.rows - first.rows) / (last.at_s - first.at_s)
        return _Driven(Figure(per_s, cores), (first.at_s, last.at_s), sent)

    def _stream(self, load: Load) -> Path:
        """The load's packets, built when first wanted."""
        if load.name not in self._streams:
            folder = self._environment.folder / load.name
            messages, span_us = self._messages(load)
            rmtree(folder, ignore_errors=True)  # of a fleet before
            write_stream(folder, messages, load.form, CONNECTIONS, span_us)
            self._streams[load.name] = folder
        return self._streams[load.name]

    @cached_property
    def _copy_buffers(self) -> list[bytes]:
        messages, span_us = self._messages(TWENTY_JSON)
        return copy_ceiling.copy_buffers(messages, span_us, self._copy_rows)

    def _messages(self, load: Load) -> tuple[workload.Messages, int]:
        fixes = workload.tracks(self._plan, load.fixes_per_tracker)
        in_order = workload.rows_in_order_of_sending(fixes, load.fixes_per_message)
        return in_order, workload.span_us(load.fixes_per_tracker)

    def _forget_session(self) -> None:
        """A clean session under ingest's client id ends the one that the broker keeps for it."""
        port = self._environment.broker_port
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(connect(INGEST_CLIENT_ID))
            connection.recv(CONNACK_BYTES, socket.MSG_WAITALL)
            connection.sendall(DISCONNECT)


@contextmanager
def _recorded(pid: int, profile: Path, load: Load) -> Iterator[None]:
    """py-spy looks on: an SVG flame graph, or counted stacks as text under any other suffix."""
    output = profile.with_name(f"{profile.stem}-{load.name}{profile.suffix}")
    form = "flamegraph" if profile.suffix == ".svg" else "raw"
    command = ["py-spy", "record", "--pid", str(pid), "--output", str(output), "--format", form]
    recorder = subprocess.Popen([*command, "--native"])
    try:
        yield
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
