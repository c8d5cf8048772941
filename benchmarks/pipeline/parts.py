"""The parts of a round: two ceilings, our listener and ingest, the baseline. Each gives one rate.

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
from tempfile import TemporaryDirectory
from time import monotonic, time

from benchmarks.common import rows as setup_rows
from benchmarks.common import workload
from benchmarks.common.drive import Drive, DriveFailed, Sending, Timing
from benchmarks.common.environment import Environment
from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.load import IN_FLIGHT
from benchmarks.common.packets import CONNACK_BYTES, DISCONNECT, connect
from benchmarks.common.payloads import Form
from benchmarks.common.rows import Stored
from benchmarks.common.stream import write_stream
from benchmarks.common.subject import SubjectPlan, cpu_s, memory_mib, running
from benchmarks.pipeline import ceilings, latency
from benchmarks.pipeline.latency import Latency
from stack.servers.cluster.rabbitmq import Rabbit
from stack.servers.postgres import free_port

CONNECTIONS = 100
QUIET_PER_S = 300
CALM_PER_S = 3_000
INGEST_CLIENT_ID = "opsc-ingest"


@dataclass(frozen=True, slots=True)
class Load:
    """A shape of message, and over how many connections. in_flight: of each, not acknowledged.

    trackers: fewer than there are; a listener's connection is that of one tracker.
    """

    fixes_per_message: int
    form: Form
    fixes_per_tracker: int  # in one pass
    connections: int = CONNECTIONS
    in_flight: int = IN_FLIGHT
    trackers: int | None = None

    @property
    def name(self) -> str:
        return f"{self.fixes_per_message}-{self.form}-{self.connections}x{self.in_flight}"

    def spread(self, connections: int, in_flight: int) -> "Load":
        """Return the same load for this many trackers, each with a connection of its own."""
        return replace(self, connections=connections, in_flight=in_flight, trackers=connections)


ONE_JSON = Load(1, Form.JSON, 120)
TWENTY_JSON = Load(20, Form.JSON, 480)
TWENTY_PACKED = Load(20, Form.PACKED, 480)


@dataclass(frozen=True, slots=True)
class Figure:
    """The figures that one part gave once.

    per_s: fixes (the broker's ceiling: messages of one fix) a second. cores: processor time per
    second of the window, of the processes that this part kept busy. memory_mib: what the
    subject held in the end, and at the most. latency: until the commit; puback: until the PUBACK.
    """

    per_s: float
    cores: Mapping[str, float]
    events_per_fix: float | None = None
    memory_mib: float | None = None
    most_memory_mib: float | None = None
    latency: Latency | None = None
    puback: Latency | None = None

    @property
    def us_per_fix(self) -> float:
        """Processor time of all processes but the load generator's."""
        used = sum(cores for name, cores in self.cores.items() if name != "load")
        return 1e6 * used / self.per_s


@dataclass(frozen=True, slots=True)
class _Driven:
    """One measurement. between_s: its two instants, seconds since 1970. sent: messages."""

    figure: Figure
    between_s: tuple[float, float]
    sent: int


def _with(plan: SubjectPlan, variables: Mapping[str, str]) -> SubjectPlan:
    return replace(plan, environment={**plan.environment, **variables})


@contextmanager
def _running_log(folder: Path, nodes: int) -> Iterator[Rabbit | None]:
    """Provide a log that is empty, or none."""
    if not nodes:
        yield None
        return
    with TemporaryDirectory(prefix="log-", dir=folder) as name:
        Path(name).chmod(0o755)
        log = Rabbit(Path(name) / "rabbit", nodes)
        try:
            log.start()
            yield log
        finally:
            log.stop()


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
        self._times = environment.folder / "times.npz"
        self._most: dict[str, float] = {}  # messages a second through the listener
        setup_rows.remove_fleet(environment.admin)
        setup_rows.add_fleet(environment.admin, plan.trackers, workload.zone_rings(plan))

    def broker_ceiling(self, load: Load = ONE_JSON) -> Figure:
        """Return messages of one fix through the broker, to a subscriber that only counts."""
        gauges = Gauges(self._gauges, create=True)
        arguments = [str(self._gauges), str(self._environment.broker_port), "trackers/+/fixes"]
        subscriber = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pipeline.counting_subscriber", *arguments],
            stdout=subprocess.PIPE,
        )
        try:
            assert subscriber.stdout is not None
            if subscriber.stdout.readline() != b"subscribed\n":
                raise DriveFailed("the counting subscriber did not subscribe")

            def received() -> int:
                return gauges[Cell.RECEIVED]

            return self._drive(
                load,
                self._to_broker(load),
                received,
                lambda: Stored(received(), time()),
                {"subscriber": [subscriber.pid], "broker": [self._environment.broker_pid]},
            ).figure
        finally:
            subscriber.terminate()
            subscriber.wait()

    def copy_ceiling(self) -> Figure:
        """Return rows that one writer brings into the database."""
        setup_rows.empty(self._environment.admin)
        url = self._environment.ingest_url
        per_s, cores = asyncio.run(ceilings.copied(url, self._copy_buffers))
        return Figure(per_s, {"database": cores})

    def ours(
        self, load: Load, rate: float | None = None, settings: Mapping[str, str] | None = None
    ) -> Figure:
        """Return fixes that our ingest brings from the broker into the database, everything on.

        rate: messages a second; then the figure has a latency. settings: of ingest, by variable.
        """
        plan = self._environment.ours()
        plan = replace(plan, environment={**plan.environment, **(settings or {})})
        return self._stored(load, plan, rate, self._profile)

    def listened(
        self, load: Load, rate: float | None = None, *, is_tls: bool = False, log_nodes: int = 0
    ) -> Figure:
        """Return fixes from signed-in devices through our listener and ingest into the database.

        rate: messages a second; then the figure says how long a PUBACK takes. log_nodes: of the log
        between the two, if there is one.
        """
        environment, admin = self._environment, self._environment.admin
        setup_rows.empty(admin)
        Gauges(self._gauges, create=True)
        port = free_port(0)
        ca = environment.certificate.chain if is_tls else None
        sending = Sending(port, load.in_flight, is_signed_in=True, ca=ca)
        with ExitStack() as ending:
            log = ending.enter_context(_running_log(environment.folder, log_nodes))
            way = {} if log is None else {"OPSC_LOG_URL": log.url()}
            pids = {} if log is None else {"log": [node.process.pid for node in log.nodes]}
            plan = _with(environment.listener(port, is_tls=is_tls), way)
            ingest_plan = _with(environment.linked(), way)
            ingest = ending.enter_context(running(ingest_plan, self._log("ingest")))
            listener = ending.enter_context(running(plan, self._log("listener")))
            if self._profile is not None:
                ending.enter_context(_recorded(listener.pid, self._profile, load))
            driven = self._drive(
                load,
                sending,
                lambda: ingest.stored_fixes() // load.fixes_per_message,
                lambda: setup_rows.count_fixes(admin),
                {
                    "listener": [listener.pid],
                    "ingest": [ingest.pid],
                    "database": setup_rows.server_pids(admin),
                    **pids,
                },
                rate,
            )
            held_mib, most_mib = memory_mib(listener.pid)
        stored = self._check_stored("listener and ingest", load, driven)
        if rate is None:
            self._most[load.name] = driven.figure.per_s / load.fixes_per_message
        return replace(
            driven.figure,
            events_per_fix=setup_rows.count_events(admin) / stored,
            memory_mib=held_mib,
            most_memory_mib=most_mib,
            puback=None if rate is None else self._puback(driven),
        )

    def at_half(self, load: Load) -> Figure:
        """Return the same at half of the rate that the listener had just now."""
        if load.name not in self._most:
            self.listened(load)
        return self.listened(load, self._most[load.name] / 2)

    def baseline(self, load: Load) -> Figure:
        """Return the same for the pipeline that most people would write."""
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
        pids = {"broker": [self._environment.broker_pid]}
        with ExitStack() as ending:
            subject = ending.enter_context(running(plan, self._log(plan.name)))
            if profile is not None:
                ending.enter_context(_recorded(subject.pid, profile, load))
            flushes, flush_ms = setup_rows.flushes(admin)
            driven = self._drive(
                load,
                self._to_broker(load),
                lambda: subject.stored_fixes() // load.fixes_per_message,
                lambda: setup_rows.count_fixes(admin),
                {**pids, plan.name: [subject.pid], "database": setup_rows.server_pids(admin)},
                rate,
            )
            held_mib, most_mib = memory_mib(subject.pid)
        self._forget_session()
        stored = self._check_stored(plan.name, load, driven)
        return replace(
            driven.figure,
            events_per_fix=setup_rows.count_events(admin) / stored,
            memory_mib=held_mib,
            most_memory_mib=most_mib,
            latency=None if rate is None else self._latency(load, driven, (flushes, flush_ms)),
        )

    def _check_stored(self, name: str, load: Load, driven: _Driven) -> int:
        """Return the rows. Raises DriveFailed where they are not those that were sent."""
        stored = setup_rows.count_fixes(self._environment.admin).rows
        wanted = driven.sent * load.fixes_per_message
        if stored != wanted:
            raise DriveFailed(f"{name} stored {stored} of {wanted} fixes")
        return stored

    def _puback(self, driven: _Driven) -> Latency:
        waited_ms = latency.acknowledged_ms(self._times, *driven.between_s)
        return Latency.of(waited_ms, flush_ms=0.0)

    def _log(self, name: str) -> Path:
        return self._environment.folder / f"{name}.log"

    def _to_broker(self, load: Load) -> Sending:
        return Sending(self._environment.broker_port, load.in_flight)

    def _latency(self, load: Load, driven: _Driven, flushes_before: tuple[int, float]) -> Latency:
        admin, chosen = self._environment.admin, latency.sampled(self._plan.trackers)
        sent = latency.sent_times(self._stream(load), self._times, chosen)
        count, took_ms = setup_rows.flushes(admin)
        before, before_ms = flushes_before
        flush_ms = (took_ms - before_ms) / max(1, count - before)
        return Latency.of(latency.taken_ms(admin, sent, chosen, *driven.between_s), flush_ms)

    def _drive(
        self,
        load: Load,
        sending: Sending,
        done: Callable[[], int],
        mark: Callable[[], Stored],
        pids: Mapping[str, Sequence[int]],
        rate: float | None = None,
    ) -> _Driven:
        times = None if rate is None else self._times
        drive = Drive(self._stream(load), self._gauges, sending, done, rate, times)
        watched = {**pids, "load": [drive.load_pid]}

        def marks() -> tuple[dict[str, float], float, Stored]:
            used_s = {name: sum(map(cpu_s, group)) for name, group in watched.items()}
            return used_s, monotonic(), mark()

        timing = self._timing
        if rate is not None:  # all trackers are known: a first fix in a zone is an event
            known_s = 1.1 * (load.trackers or self._plan.trackers) / rate
            timing = replace(timing, warm_up_s=max(timing.warm_up_s, known_s))
        try:
            (cpu_before, start, first), (cpu_after, end, last) = drive.measure(timing, marks)
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
        """Return the load's packets, built when first wanted."""
        if load.name not in self._streams:
            folder = self._environment.folder / load.name
            messages, span_us = self._messages(load)
            rmtree(folder, ignore_errors=True)  # of a fleet before
            write_stream(folder, messages, load.form, load.connections, span_us)
            self._streams[load.name] = folder
        return self._streams[load.name]

    @cached_property
    def _copy_buffers(self) -> list[bytes]:
        messages, span_us = self._messages(TWENTY_JSON)
        return ceilings.copy_buffers(messages, span_us, self._copy_rows)

    def _messages(self, load: Load) -> tuple[workload.Messages, int]:
        plan = replace(self._plan, trackers=load.trackers or self._plan.trackers)
        fixes = workload.tracks(plan, load.fixes_per_tracker)
        in_order = workload.rows_in_order_of_sending(fixes, load.fixes_per_message)
        return in_order, workload.span_us(load.fixes_per_tracker)

    def _forget_session(self) -> None:
        """Open a clean session under ingest's client id, which ends the one that the broker keeps
        for it.
        """
        port = self._environment.broker_port
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(connect(INGEST_CLIENT_ID))
            connection.recv(CONNACK_BYTES, socket.MSG_WAITALL)
            connection.sendall(DISCONNECT)


@contextmanager
def _recorded(pid: int, profile: Path, load: Load) -> Iterator[None]:
    """Record with py-spy: an SVG flame graph, or counted stacks as text under any other suffix."""
    output = profile.with_name(f"{profile.stem}-{load.name}{profile.suffix}")
    form = "flamegraph" if profile.suffix == ".svg" else "raw"
    command = ["py-spy", "record", "--pid", str(pid), "--output", str(output), "--format", form]
    recorder = subprocess.Popen([*command, "--native"])
    try:
        yield
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait()
