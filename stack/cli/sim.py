"""``opsc sim``: simulated trackers over real MQTT, against ``opsc up`` or a system elsewhere."""

from __future__ import annotations

import asyncio
import gzip
import logging
import resource
import signal
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import msgspec
import typer
import uvloop

from device_sim.crew import MAX_EMPLOYEES, PUNCH_FAULTS, CrewPlan, PunchFaults
from device_sim.devices import Qos, Version, has_own_stack
from device_sim.faults import FAULTS, Faults, parse_faults, read_amounts, with_faults
from device_sim.fleet import FleetError
from device_sim.motion import StreetPlan
from device_sim.payloads import PayloadFormat
from device_sim.plan import MAX_CONNECTIONS, MAX_TRACKERS
from device_sim.schedule import ramped
from device_sim.trace import Trace
from geofence.shapes.geojson import ShapeError, ZoneFileError, read_zones
from stack.cli.options import DataDir, say
from stack.cli.sim_target import Where, target_of
from stack.cli.up import stop_event
from stack.errors import StackError
from stack.scenario.api_client import ApiError
from stack.scenario.rule_zones import RuleSet
from stack.scenario.scenario import Scenario, moving_scenario, replay_scenario
from stack.scenario.zones import SimZone, zones_of_features
from stack.servers.runtime import DEFAULT_DATA_DIR
from stack.servers.system import allow_open_files
from stack.sim.figures import FIGURES_SUFFIXES
from stack.sim.outcome import RunOutcome, verdict_line
from stack.sim.progress import run_view
from stack.sim.run import Hooks, Wanted, simulate
from telemetry.fix import FixBatch

TRACKERS = 10
RATE_HZ = 1.0
SECONDS = 60.0
EDITS = 5
RESEND_S = 10.0
PROMPT_S = 0.3  # fixes that come later may be overtaken by deadlines, which ingest holds for 0.5 s
_OTHER_FILES = 100  # that a run has open beside its connections


def sim(
    trackers: Annotated[
        int | None, typer.Option(min=1, max=MAX_TRACKERS, help=f"Number of vehicles. [{TRACKERS}]")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, max=1000, help=f"Fixes per second and vehicle. [{RATE_HZ:g}]"),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, max=86_400, help=f"How long the vehicles drive. [{SECONDS:g}]"),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed; the same seed gives the same tracks.")
    ] = 1,
    replay: Annotated[
        Path | None, typer.Option(help="Send a trace file (.csv, .csv.gz) instead.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, help="Play the trace this many times as fast. [1]")
    ] = None,
    original_times: Annotated[
        bool, typer.Option("--original-times", help="Do not move the trace's times to now.")
    ] = False,
    zones: Annotated[
        Path | None,
        typer.Option(help="GeoJSON zones, or one zone (.gz) [20 zones on the trackers' way]."),
    ] = None,
    rules: Annotated[
        RuleSet | None,
        typer.Option(
            help="Rules of the zones that are made: all, those without deadlines and hours, or"
            " defaults. \\[all; untimed where fixes come late (--replay, --batch) and elsewhere]"
        ),
    ] = None,
    edits: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1000,
            help=f"Changes of zones and trackers during the run. [{EDITS}; 0 without"
            " --verify, with --zones, where fixes come late, and elsewhere]",
        ),
    ] = None,
    payload_format: Annotated[
        PayloadFormat, typer.Option("--format", help="Format of the messages.")
    ] = PayloadFormat.JSON,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Fixes in one message.")] = 1,
    faults: Annotated[
        str | None,
        typer.Option(metavar="NAME=AMOUNT,...", help=f"Faults of devices: {', '.join(FAULTS)}."),
    ] = None,
    employees: Annotated[
        int,
        typer.Option(min=0, max=MAX_EMPLOYEES, help="Number of employees who punch by phone."),
    ] = 0,
    punch_faults: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SHARE,...",
            help=f"Shares of employees with a fault: {', '.join(PUNCH_FAULTS)}.",
        ),
    ] = None,
    qos: Annotated[
        Qos, typer.Option(help="QoS of the messages; mixed: a third of the trackers each.")
    ] = Qos.AT_LEAST_ONCE,
    mqtt: Annotated[
        Version, typer.Option(help="Version of MQTT; mixed: a third of the trackers each.")
    ] = Version.V5,
    receipts: Annotated[
        bool,
        typer.Option("--receipts", help="Let trackers keep each message until its receipt comes."),
    ] = False,
    resend_seconds: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds after which a message without receipt is sent again."),
    ] = RESEND_S,
    connections: Annotated[
        int,
        typer.Option(
            min=1,
            max=MAX_CONNECTIONS,
            help="Largest number of connections; more trackers take turns.",
        ),
    ] = MAX_CONNECTIONS,
    ramp: Annotated[
        float,
        typer.Option(min=0, help="Seconds over which the trackers connect one after the other."),
    ] = 0.0,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compare everything stored and delivered by webhooks with what was sent.",
        ),
    ] = False,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            help="For --verify of a system elsewhere: the URL at which it reaches --webhook-port."
        ),
    ] = None,
    webhook_port: Annotated[
        int,
        typer.Option(
            min=0, max=65_535, help="Loopback port that receives webhooks; 0: a free one."
        ),
    ] = 0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what the run created in the system.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Write the figures of each second: {', '.join(FIGURES_SUFFIXES)}."),
    ] = None,
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="The longest time to wait for the system after the run.")
    ] = 600.0,
    data: DataDir = DEFAULT_DATA_DIR,
    api_url: Annotated[
        str | None, typer.Option(envvar="OPSC_API_URL", help="URL of a system elsewhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run simulated trackers over real MQTT; exit code 1 on any loss, duplicate or wrong event.

    Ends with PASS, or FAIL and why. What it made in the system is taken away afterwards.
    """
    if replay is not None and not trackers is rate is seconds is None:
        raise typer.BadParameter("--replay cannot be used with --trackers, --rate or --seconds")
    if replay is None and (speed is not None or original_times):
        raise typer.BadParameter("--speed and --original-times need --replay")
    if replay is not None and ramp:
        raise typer.BadParameter(
            "--ramp cannot be used with --replay: a trace says when each device begins"
        )
    if ramp > (seconds or SECONDS):
        raise typer.BadParameter(
            f"--ramp {ramp:g} is longer than the run: --seconds {seconds or SECONDS:g}"
        )
    if webhook_url is not None and not (verify and api_url and webhook_port):
        raise typer.BadParameter(
            "--webhook-url needs --verify, --webhook-port and a system elsewhere (OPSC_API_URL)"
        )
    if out is not None and out.suffix not in FIGURES_SUFFIXES:
        text = f"{out}: the name must end in {' or '.join(FIGURES_SUFFIXES)}"
        raise typer.BadParameter(text, param_hint="--out")
    chosen_faults = _faults(faults, payload_format)
    has_own_stacks = has_own_stack(qos, mqtt, chosen_faults)
    if receipts and has_own_stacks:
        raise typer.BadParameter("--receipts needs QoS 1, MQTT 5 and no faults of MQTT stacks")
    crew = _crew(employees, punch_faults, seconds or SECONDS, seed)
    if crew is not None and (replay is not None or api_url):
        raise typer.BadParameter(
            "--employees needs moving trackers and an organization of its own: neither --replay"
            " nor a system elsewhere"
        )
    own_zones = None if zones is None else _zones_of_file(zones)
    interval_s = 1 / (rate or RATE_HZ)
    is_prompt = replay is None and not chosen_faults and (batch - 1) * interval_s <= PROMPT_S
    is_prompt = is_prompt and not receipts and qos is Qos.AT_LEAST_ONCE
    is_prompt = is_prompt and (trackers or TRACKERS) <= connections
    if verify and not is_prompt:
        _refuse_deadlines(rules, edits, own_zones or [])
    has_our_clock = is_prompt and not api_url
    rules = rules or (RuleSet.ALL if has_our_clock else RuleSet.UNTIMED)
    if edits is None:
        edits = EDITS if verify and has_our_clock and zones is None else 0
    if replay is None:
        streets = StreetPlan(trackers or TRACKERS, rate or RATE_HZ, seconds or SECONDS, seed)
        scenario = moving_scenario(streets, _now_us(), own_zones, rules)
    else:
        trace = _trace_of_file(replay)
        trace = trace if original_times else trace.shifted_to(_now_us())
        scenario = replay_scenario(trace, speed or 1.0, seed, own_zones, rules)
    if ramp:
        schedule = ramped(scenario.schedule, len(scenario.devices), ramp)
        scenario = replace(scenario, schedule=schedule, fixes=None)
    if chosen_faults:
        schedule = with_faults(scenario.schedule, chosen_faults, seed)
        scenario = replace(scenario, schedule=schedule, fixes=None)
    if chosen_faults.of("reconnect"):
        logging.getLogger("mqtt").setLevel(logging.ERROR)  # no news that connections are cut
    wanted = Wanted(
        payload_format,
        batch,
        verify,
        drain_seconds,
        edits,
        interval_s,
        connections,
        resend_seconds if receipts else None,
        chosen_faults,
        seed,
        connects_when_due=ramp > 0,
        figures=out,
        qos=qos,
        version=mqtt,
        crew=crew,
    )
    ended = _run(scenario, wanted, Where(data, api_url, Hooks(webhook_port, webhook_url), keep))
    print(ended.as_json() if as_json else ended.as_text(), flush=True)
    if not ended.is_good:
        raise typer.Exit(1)


def _crew(employees: int, faults: str | None, seconds: float, seed: int) -> CrewPlan | None:
    if not employees:
        if faults is not None:
            raise typer.BadParameter("--punch-faults needs --employees")
        return None
    try:
        chosen = PunchFaults() if faults is None else PunchFaults(read_amounts(faults))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--punch-faults") from None
    try:
        return CrewPlan(employees, seconds, seed, chosen)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--employees") from None


def _faults(text: str | None, payload_format: PayloadFormat) -> Faults:
    try:
        faults = Faults() if text is None else parse_faults(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from None
    if faults.of("nan") and payload_format is PayloadFormat.PACKED:
        problem = "nan needs the format json or msgpack: packed cannot represent it"
        raise typer.BadParameter(problem, param_hint="--faults")
    return faults


def _refuse_deadlines(rules: RuleSet | None, edits: int | None, zones: Sequence[SimZone]) -> None:
    """Refuse deadlines together with late fixes: the outcome would depend on which comes first."""
    timed = [zone.external_id for zone in zones if zone.is_timed]
    if timed:
        reason = f"zone {timed[0]} has deadlines or hours"
    elif rules is RuleSet.ALL:
        reason = "--rules all has deadlines and hours"
    elif edits:
        reason = f"--edits {edits} changes zones"
    else:
        return
    raise typer.BadParameter(
        f"{reason}, which --verify can foresee only where fixes are sent within {PROMPT_S:g} s"
    )


def _now_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """The end of a run that has no result."""

    reason: str
    interrupted: bool = False
    is_good = False

    def as_text(self) -> str:
        return verdict_line([self.reason], interrupted=self.interrupted)

    def as_json(self) -> str:
        verdict = {"good": False, "reasons": [self.reason], "interrupted": self.interrupted}
        return msgspec.json.encode(verdict | {"verdict": self.as_text()}).decode()


def _run(scenario: Scenario, wanted: Wanted, where: Where) -> RunOutcome | BrokenOff:
    """Run it; what the system or the network got wrong is told without a traceback."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            ended = runner.run(_simulated(scenario, wanted, where))
        except* (ApiError, FleetError) as errors:
            ended = BrokenOff(str(_first(errors)))
    return ended


def _first(errors: BaseExceptionGroup[ApiError | FleetError]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def _simulated(scenario: Scenario, wanted: Wanted, where: Where) -> RunOutcome | BrokenOff:
    allow_open_files()
    _refuse_too_many(min(len(scenario.devices), wanted.connections))
    stop = stop_event()
    async with target_of(where) as target:
        with run_view() as shown:
            run = asyncio.create_task(simulate(scenario, wanted, target, shown, stop))
            impatience = asyncio.create_task(_cancel_on_second_signal(stop, run))
            try:
                await asyncio.wait([run])
            finally:
                impatience.cancel()
                run.cancel()
            if run.cancelled():
                return BrokenOff("stopped before its end", interrupted=True)
            return run.result()


async def _cancel_on_second_signal(stop: asyncio.Event, run: asyncio.Task[RunOutcome]) -> None:
    """Count Ctrl-C: the first ends the sending, the second what follows, the third everything."""
    await stop.wait()
    loop = asyncio.get_running_loop()

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        run.cancel()

    loop.add_signal_handler(signal.SIGINT, cancel)


def _refuse_too_many(connections: int) -> None:
    """Raise StackError where this process may not hold this many connections."""
    may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections + _OTHER_FILES > may_open:
        raise StackError(
            f"{connections:,} connections need as many open files, and this process may have "
            f"{may_open:,}: raise the hard limit (`ulimit -Hn`), or let trackers take turns with "
            f"--connections {max(1, may_open - _OTHER_FILES)}"
        )


def _trace_of_file(path: Path) -> Trace:
    from telemetry.traces.files import read_trace  # a fifth of a second, which others need not take

    batches: list[FixBatch] = []
    devices: list[str] = []
    try:
        with _opened(path) as file:
            for chunk in read_trace(file):
                batches.append(chunk.batch)
                devices = chunk.devices
        trace = Trace(tuple(devices), FixBatch.concat(batches))
    except (OSError, EOFError, zlib.error, ValueError) as error:  # a TraceError is a ValueError
        raise typer.BadParameter(f"{path}: {error}", param_hint="--replay") from None
    if len(devices) > MAX_TRACKERS:
        text = f"{path}: {len(devices):,} devices, a run has at most {MAX_TRACKERS:,}"
        raise typer.BadParameter(text, param_hint="--replay")
    return trace


def _zones_of_file(path: Path) -> list[SimZone]:
    try:
        with _opened(path) as file:
            features = read_zones(file.read())
        return zones_of_features(features, warn=say)
    except (OSError, EOFError, zlib.error, ZoneFileError, ShapeError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--zones") from None


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
