"""Traffic while something is broken, and what came of it in five numbers.

    outcome = await loaded(system_target, load, action)

The fleet sends until the action has ended and a little longer, so that each action is done as often
as it says. Each load has an organization of its own.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.system import Running
from device_sim.devices import Qos, Version, devices
from device_sim.faults import Faults, parse_faults, with_faults
from device_sim.motion import StreetPlan
from device_sim.payloads import PayloadFormat
from mqtt import BrokerAddress
from stack.cli.organizations.org import create_with_admin
from stack.scenario.api_client import ApiClient
from stack.scenario.rule_zones import RuleSet, zones_on_the_way
from stack.scenario.scenario import Scenario, moving_scenario
from stack.scenario.zones import SimZone
from stack.sim.progress import RunState, Shown
from stack.sim.run import Hooks, RunOutcome, Target, Wanted, simulate
from stack.verify.comparison import Comparison

AT_MOST_S = 150.0
TAIL_S = 2.0  # traffic after the last fault
DRAIN_S = 60.0
Beside = Callable[[ApiClient], AbstractAsyncContextManager[None]]
_EDITS = 1000  # more than fit into a run: its end ends them


@dataclass(frozen=True, slots=True)
class Load:
    """The traffic of a fleet, and its patience.

    faults: as `opsc sim --faults` takes them. receipts_s: see `device_sim.plan.FleetPlan`. edits:
    whether zones and trackers are changed meanwhile. zone_sets: how many times 20 zones there are,
    on the trackers' ways of the first zones_s seconds.
    qos, version: how trackers speak (`device_sim.devices`). webhook_answer_s: how long the receiver
    of webhooks takes.
    """

    trackers: int = 60
    rate_hz: float = 2.0
    faults: str = ""
    receipts_s: float | None = None
    edits: bool = False
    at_most_s: float = AT_MOST_S
    zone_sets: int = 8
    zones_s: float = 40.0
    drain_s: float = DRAIN_S
    qos: Qos = Qos.MIXED
    version: Version = Version.MIXED
    webhook_answer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of broken promises of each kind; docs/faults.md says what the letters mean."""

    lost: int = 0
    duplicate: int = 0
    order: int = 0
    events: int = 0
    webhooks: int = 0
    other: int = 0

    @property
    def is_clean(self) -> bool:
        return self == Tally()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of a load.

    by_qos: acknowledged messages; of QoS 0 those sent. slowest_answer_s: of a message with QoS 1
    or 2, from its first sending until it was acknowledged; p99_answer_s: the 99th percentile.
    assets: those of the load; whole: those whose visits and whole sequence of events are as
    expected. examples: the first differences.
    """

    sent: int
    stored: int
    events: int
    webhooks: int
    connects: int
    sent_again: int
    by_qos: Mapping[int, int]
    slowest_answer_s: float
    p99_answer_s: float
    tally: Tally
    assets: int
    whole: int
    examples: Sequence[str] = ()


@dataclass(slots=True)
class _Watching:
    """A view that shows nothing, and knows when the fleet has begun to send."""

    has_begun: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, state: RunState) -> None:
        if state.stage == "sending":
            self.has_begun.set()


async def loaded(
    system: Running,
    broker: BrokerAddress,
    load: Load,
    seed: int,
    action: Callable[[], Awaitable[None]],
    beside: Sequence[Beside] = (),
) -> Loaded:
    """Send to `broker` while the action goes on. beside: what else is in the organization.

    Raises stack.scenario.api_client.ApiError, device_sim.fleet.FleetError, and what the action
    raises.
    """
    view, stop = _Watching(), asyncio.Event()

    async def act() -> None:
        await view.has_begun.wait()
        await asyncio.sleep(1)
        await action()
        await asyncio.sleep(TAIL_S)
        stop.set()

    async with new_organization(system) as client, AsyncExitStack() as ending:
        for enter in beside:
            await ending.enter_async_context(enter(client))
        async with asyncio.TaskGroup() as group:
            acting = group.create_task(act())
            outcome = await simulate(
                _scenario(load, seed),
                _wanted(load, seed),
                Target(client, broker, hooks=Hooks(delay_s=load.webhook_answer_s)),
                Shown(view),
                stop,
            )
            if not acting.done():
                raise RuntimeError("the load ended before what was to be done to it")
        return _reckoned(outcome, load, seed)


@asynccontextmanager
async def new_organization(system: Running) -> AsyncIterator[ApiClient]:
    """Provide a client that is signed in as the admin of an organization of its own."""
    name = f"Faults {secrets.token_hex(4)}"
    admin = await create_with_admin(
        system.database["opsc_owner"], name, "admin@faults.example", "unlimited"
    )
    async with ApiClient(system.api_url) as client:
        await client.sign_in(*admin)
        yield client


def _scenario(load: Load, seed: int) -> Scenario:
    streets = StreetPlan(load.trackers, load.rate_hz, load.at_most_s, seed)
    now_us = time.time_ns() // 1000
    zones = list(_zones(replace(streets, seconds=load.zones_s), load.zone_sets, now_us))
    scenario = moving_scenario(streets, now_us, zones, RuleSet.UNTIMED)
    if faults := _faults(load):
        scenario = replace(scenario, schedule=with_faults(scenario.schedule, faults, seed))
    return scenario


def _zones(streets: StreetPlan, sets: int, now_us: int) -> Iterable[SimZone]:
    """Yield several sets of zones where the fleet is soon, so that something happens
    all the time.
    """
    for number in range(sets):
        for zone in zones_on_the_way(
            streets.slices, streets.seed + number, now_us, RuleSet.UNTIMED
        ):
            external_id = f"{zone.external_id}-{number}"
            yield replace(zone, external_id=external_id, name=f"{zone.name} {number}")


def _faults(load: Load) -> Faults:
    return parse_faults(load.faults) if load.faults else Faults()


def _wanted(load: Load, seed: int) -> Wanted:
    return Wanted(
        payload_format=PayloadFormat.JSON,
        fixes_per_message=1,
        verify=True,
        drain_s=load.drain_s,
        edits=_EDITS if load.edits else 0,
        interval_s=1 / load.rate_hz,
        receipts_s=load.receipts_s,
        faults=_faults(load),
        seed=seed,
        qos=load.qos,
        version=load.version,
    )


def _reckoned(outcome: RunOutcome, load: Load, seed: int) -> Loaded:
    comparisons = outcome.comparisons
    assert outcome.run is not None
    messages = outcome.run.ledger.messages
    answered = messages[messages["acknowledged_us"] > 0]
    answers_s = (answered["acknowledged_us"] - answered["sent_us"]) / 1e6
    fixes, _, _, _, events, webhooks = comparisons
    return Loaded(
        sent=outcome.final.sent,
        stored=fixes.found,
        events=events.found,
        webhooks=webhooks.found,
        connects=outcome.final.connects,
        sent_again=outcome.final.sent_again,
        by_qos=_by_qos(messages, load, seed),
        slowest_answer_s=float(answers_s.max()),
        p99_answer_s=float(np.percentile(answers_s, 99)),
        tally=replace(tally(comparisons), lost=outcome.lost),
        assets=outcome.assets,
        whole=outcome.whole,
        examples=list(_examples(comparisons)),
    )


def _by_qos(messages: NDArray[np.void], load: Load, seed: int) -> Mapping[int, int]:
    fleet = devices(load.trackers, load.qos, load.version, _faults(load), seed)
    is_settled = (messages["acknowledged_us"] > 0) | messages["may_be_lost"]
    qos = np.array([one.qos for one in fleet])[messages["tracker"][is_settled]]
    return {level: int((qos == level).sum()) for level in (0, 1, 2)}


def tally(comparisons: Sequence[Comparison]) -> Tally:
    """Count the comparisons in the order in which `stack.verify.verify` gives them."""
    fixes, refused, visits, stays, events, webhooks = (one.counts for one in comparisons)
    lost, duplicate = fixes["lost"], fixes["stored twice"]
    order = events["out of order"] + events["gap in seq"]
    return Tally(
        lost=lost,
        duplicate=duplicate,
        order=order,
        events=visits.total() + stays.total() + events.total() - order,
        webhooks=webhooks.total(),
        other=fixes.total() - lost - duplicate + refused.total(),
    )


def _examples(comparisons: Iterable[Comparison]) -> Iterable[str]:
    """Yield one of each kind of difference."""
    for one in comparisons:
        for kind, told in one.examples.items():
            yield f"{one.what}, {kind} ({one.counts[kind]}): {told[0]}"
