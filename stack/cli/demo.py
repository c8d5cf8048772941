"""``opsc demo``: the whole system with vehicles on the move and live breaches.

Everything goes the way of a real installation: the vehicles' fixes over MQTT, zones and assets by
the REST interface, breaches to a webhook receiver that checks each signature. At the end the counts
of the three are held against one another; exit code 0 means that nothing was lost.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from device_sim.crew import LEAST_SECONDS, CrewPlan, JobSite, PunchFaults
from device_sim.fleet import FleetError, FleetProgress, run_fleet
from device_sim.motion import StreetPlan
from device_sim.plan import FleetPlan
from mqtt import BrokerAddress, MqttError
from stack.cli.options import DataDir, say
from stack.cli.organizations.org import Admin, create_with_admin
from stack.cli.up import described, stop_event
from stack.errors import StackError
from stack.scenario.api_client import ApiClient, ApiError
from stack.scenario.registration import known_to_broker, register
from stack.scenario.rule_zones import RuleSet
from stack.scenario.scenario import Scenario, moving_scenario
from stack.scenario.week import WEEKS_BREACHES, make_week
from stack.servers.runtime import DEFAULT_DATA_DIR, StackInfo
from stack.servers.system import running_stack
from stack.servers.tls import pinned
from stack.sim.crew import hire
from stack.verify.webhook_receiver import Received, WebhookReceiver
from telemetry.ids import parse_id

VEHICLES = 12
RATE_HZ = 1.0
BLOCKS = 6
SEED = 7
BREACH = "asset.geofence_breach"
PUNCHES = {"employee.punched_in": "punched in", "employee.punched_out": "punched out"}
EMPLOYEES = 6
PUNCH_FAULTS = PunchFaults({"mock": 0.15, "outside": 0.15, "no_fix": 0.15})
SITE = JobSite("Depot Westend", 13.345, 52.515)  # beside the streets and the week's drives
DAY_S = 90.0  # in which each employee comes and goes; the next day begins then
EMAIL = "admin@demo.example"
DRAIN_S = 30.0
DRAIN_POLL_S = 0.5  # longer than the sequencer sleeps
ZONE_NAMES = (
    "Harbour", "North depot", "Quarry", "Fuel yard", "School", "Old bridge", "Rail crossing",
    "Warehouse 3", "Market", "Substation", "South gate", "River lot", "Workshop", "Airfield",
    "Cold store", "Timber yard", "Gravel pit", "Toll gate", "Test track", "Water works",
)  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """The messages that were sent, and what of them arrived where."""

    fixes_sent: int
    fixes_acknowledged: int
    fixes_stored: int
    breaches: int
    events: int
    webhooks_delivered: int
    bad_signatures: int

    @property
    def lost(self) -> int:
        """Fixes that are not stored, and events whose webhook did not come."""
        return abs(self.fixes_sent - self.fixes_stored) + self.events - self.webhooks_delivered

    @property
    def is_good(self) -> bool:
        return self.lost == 0 and self.bad_signatures == 0


class _Breach(msgspec.Struct):
    asset_name: str
    zone_name: str
    transition: str
    initial: bool


class _Punch(msgspec.Struct):
    employee_name: str
    verdict: str
    reasons: list[dict[str, Any]]


class _Event(msgspec.Struct):
    type: str
    seq: int
    occurred_at: str
    data: msgspec.Raw


class EventLog:
    """Counts each event once, by its ``seq``, and prints the breaches.

    Bounded, since seq has no gaps where all types are subscribed to.
    """

    def __init__(self) -> None:
        self._all_up_to = 0
        self._ahead: set[int] = set()
        self.bad_signatures = 0

    @property
    def delivered(self) -> int:
        return self._all_up_to + len(self._ahead)

    def add(self, received: Received) -> None:
        if received.signature_problem is not None:
            self.bad_signatures += 1
            return
        event = msgspec.json.decode(received.body, type=_Event)
        if event.seq <= self._all_up_to or event.seq in self._ahead:
            return
        self._ahead.add(event.seq)
        while self._all_up_to + 1 in self._ahead:
            self._all_up_to += 1
            self._ahead.remove(self._all_up_to)
        if event.type == BREACH:
            print(_line(event), flush=True)
        elif event.type in PUNCHES:
            print(_punch_line(event), flush=True)


def _punch_line(event: _Event) -> str:
    punch = msgspec.json.decode(event.data, type=_Punch)
    rules = ", ".join(reason["rule"] for reason in punch.reasons)
    verb = PUNCHES[event.type]
    return f"{event.occurred_at}  {punch.employee_name} {verb}: {punch.verdict} ({rules})"


def _line(event: _Event) -> str:
    breach = msgspec.json.decode(event.data, type=_Breach)
    entered = "was in" if breach.initial else "entered"
    verb = "left" if breach.transition == "exit" else entered
    return f"{event.occurred_at}  {breach.asset_name} {verb} {breach.zone_name}"


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="End after this time; otherwise at Ctrl-C.")
    ] = None,
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run the whole system with moving vehicles, zones on their way and alerts."""
    summary = asyncio.run(_demo(data, seconds))
    print(
        json.dumps({**asdict(summary), "lost": summary.lost}) if as_json else _as_text(summary),
        flush=True,
    )
    if not summary.is_good:
        raise typer.Exit(1)


async def _demo(data_dir: Path, seconds: float | None) -> Summary:
    stop = stop_event()
    async with running_stack(data_dir, say, stop) as stack:
        print(described(stack), flush=True)
        try:
            summary = await _play(stack.info(), seconds, stop)
        except (ApiError, FleetError, MqttError) as error:
            raise StackError(f"the demo cannot go on: {error}") from error
        say("stopping")
        return summary


async def _play(system: StackInfo, seconds: float | None, stop: asyncio.Event) -> Summary:
    admin = await create_with_admin(system.database["opsc_owner"], "Demo", EMAIL, "unlimited")
    log = EventLog()
    broker = BrokerAddress.parse(system.broker_url)
    async with (
        ApiClient(system.api_url, tls=pinned(system.certificate)) as client,
        WebhookReceiver(log.add, keep=False) as hooks,
    ):
        say("planning the day of the vehicles ...")
        scenario = await asyncio.to_thread(_scenario, seconds)
        await client.sign_in(*admin)
        say("making a contractor's last week ...")
        org_id = parse_id("org", admin.organization_id)
        now = datetime.now(UTC)
        fixes = await make_week(client, broker, system.database["opsc_ingest"], org_id, now)
        past = await _past(client, fixes)
        endpoint = await client.post("/v1/webhook-endpoints", {"url": hooks.url, "types": ["*"]})
        hooks.expect(endpoint["secret"])
        registered = await register(client, scenario)
        if registered.newest is not None:
            await known_to_broker(broker, registered.newest)
        _print_sign_in(system, admin, len(scenario.zones))
        plan = FleetPlan(registered.trackers, scenario.schedule, keep_ledger=False)
        async with _punching(client, broker, seconds):
            result = await run_fleet(plan, broker, stop=stop)
        return await _drained(client, result.final, log, past)


@asynccontextmanager
async def _punching(
    client: ApiClient, broker: BrokerAddress, seconds: float | None
) -> AsyncIterator[None]:
    """Let employees come and go, day after day, while the block runs. A run that is too short for
    a day has none.
    """
    day_s = min(DAY_S, seconds or DAY_S)
    if day_s < LEAST_SECONDS:
        yield
        return
    crew = await hire(client, broker, CrewPlan(EMPLOYEES, day_s, SEED, PUNCH_FAULTS, SITE))
    ended = asyncio.Event()

    async def days() -> None:
        while not ended.is_set():
            await crew.punch(broker, ended)

    punching = asyncio.create_task(days())
    try:
        yield
    finally:
        ended.set()
        await punching


def _scenario(seconds: float | None) -> Scenario:
    plan = StreetPlan(VEHICLES, RATE_HZ, seconds, SEED, blocks=BLOCKS)
    now_us = time.time_ns() // 1000
    scenario = moving_scenario(plan, now_us, rule_set=RuleSet.DEFAULT)
    zones = [replace(z, name=n) for z, n in zip(scenario.zones, ZONE_NAMES, strict=True)]
    devices = [f"Truck {number:02d}" for number in range(1, VEHICLES + 1)]
    return replace(scenario, devices=devices, zones=zones)


def _print_sign_in(system: StackInfo, admin: Admin, zones: int) -> None:
    print(
        f"\ndashboard {system.api_url}/app/sign-in?organization={admin.organization_id}\n"
        f"API       {system.api_url}/v1   (POST /v1/auth/token to sign in)\n"
        f"email     {admin.email}\n"
        f"password  {admin.password}\n"
        f"organization_id  {admin.organization_id}\n\n"
        f"{VEHICLES} vehicles on the road, {zones} zones, {EMPLOYEES} employees;"
        " breaches and punches as the webhook receives them:",
        flush=True,
    )


class CountedBefore(NamedTuple):
    """The numbers of things from before the demo began to count."""

    fixes: int
    events: int
    breaches: int


async def _past(client: ApiClient, fixes: int) -> CountedBefore:
    """Return what there is, once all events have their numbers: none is delivered then. After
    ``DRAIN_S``: what there is.
    """
    deadline = time.monotonic() + DRAIN_S
    before, past = None, None
    while past is None or (
        (past != before or past.breaches < WEEKS_BREACHES) and time.monotonic() < deadline
    ):
        before = past
        await asyncio.sleep(DRAIN_POLL_S)
        events = await client.total("/v1/events")
        past = CountedBefore(fixes, events, await client.total("/v1/events", {"type": BREACH}))
    return past


async def _drained(
    client: ApiClient, sent: FleetProgress, log: EventLog, past: CountedBefore
) -> Summary:
    """Wait for the summary: it is good and no longer changes, or ``DRAIN_S`` have passed."""
    deadline = time.monotonic() + DRAIN_S
    before = None
    while True:
        summary = Summary(
            fixes_sent=sent.sent,
            fixes_acknowledged=sent.acknowledged,
            fixes_stored=await client.total("/v1/gps-events") - past.fixes,
            breaches=await client.total("/v1/events", {"type": BREACH}) - past.breaches,
            events=await client.total("/v1/events") - past.events,
            webhooks_delivered=log.delivered,
            bad_signatures=log.bad_signatures,
        )
        if (summary.is_good and summary == before) or time.monotonic() > deadline:
            return summary
        before = summary
        await asyncio.sleep(DRAIN_POLL_S)


def _as_text(summary: Summary) -> str:
    rows: dict[str, Any] = {
        "fixes sent": summary.fixes_sent,
        "fixes acknowledged": summary.fixes_acknowledged,
        "fixes stored": summary.fixes_stored,
        "breaches": summary.breaches,
        "events": summary.events,
        "webhooks delivered": summary.webhooks_delivered,
        "signatures refused": summary.bad_signatures,
        "lost": summary.lost,
    }
    return "\n" + "\n".join(f"{name:<20}{count:>8,}" for name, count in rows.items())
