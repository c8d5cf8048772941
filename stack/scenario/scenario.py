"""The parts of a simulated run: trackers that move, when they send, and the zones on their way.

Some fixes are glitches, as receivers make them: far from the truth, stated as inaccurate, or
coarse. Glitches are stored. Far ones are suspect and change nothing, nor do inaccurate ones; coarse
ones count for a zone only deep inside or far outside it. Which fixes are glitches depends on
tracker and seq alone, and no two of a tracker follow each other.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from device_sim.motion import StreetPlan
from device_sim.schedule import Schedule, Slice
from device_sim.trace import Trace
from stack.scenario.rule_zones import NIGHT_SHIFT, RuleSet, zones_on_the_way
from stack.scenario.zones import SimZone
from telemetry.fix import FixBatch, Known

_FAR_EACH, _INACCURATE_EACH, _COARSE_EACH = 53, 41, 23  # fixes
_FAR_AT, _INACCURATE_AT = 5, 9  # which of them
_FAR_DEG = 0.1
_INACCURATE_M, _COARSE_M = 900.0, 65.0
_COARSE_DEG = 0.0006


def with_glitches(schedule: Schedule) -> Schedule:
    """Yield the same fixes at the same moments, some of them spoilt."""

    def spoilt(start_us: int) -> Iterator[Slice]:
        for part in schedule(start_us):
            yield part._replace(fixes=_spoilt(part.fixes))

    return spoilt


def _spoilt(fixes: FixBatch) -> FixBatch:
    rows = fixes.rows.copy()
    turn = rows["seq"].astype(np.int64) + 17 * rows["tracker"].astype(np.int64)
    rows["lat"][turn % _FAR_EACH == _FAR_AT] += _FAR_DEG
    is_inaccurate = turn % _INACCURATE_EACH == _INACCURATE_AT
    rows["accuracy_m"][is_inaccurate] = _INACCURATE_M
    rows["lat"][is_inaccurate] -= _FAR_DEG / 2
    is_coarse = turn % _COARSE_EACH == 3
    for beside in (-1, 0, 1):
        is_coarse &= (turn + beside) % _FAR_EACH != _FAR_AT
        is_coarse &= (turn + beside) % _INACCURATE_EACH != _INACCURATE_AT
    rows["accuracy_m"][is_coarse] = _COARSE_M
    rows["lat"][is_coarse] += np.where(turn[is_coarse] % 2, _COARSE_DEG, -_COARSE_DEG)
    rows["known"][is_inaccurate | is_coarse] |= np.uint8(Known.ACCURACY)
    return FixBatch(rows, fixes.attributes)


_MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """devices: external id of each tracker and name of its asset, in the order of the fleet.

    oldest_us: no fix is older. fixes: how many there will be, None where the run has no end.
    """

    devices: Sequence[str]
    zones: Sequence[SimZone]
    schedule: Schedule
    oldest_us: int
    fixes: int | None
    tags: Sequence[Sequence[str]] = ()  # of the assets, in the same order


def moving_scenario(
    plan: StreetPlan,
    now_us: int,
    zones: Sequence[SimZone] | None = None,
    rule_set: RuleSet = RuleSet.ALL,
) -> Scenario:
    """Return vehicles on streets; without zones of one's own, with some on their way by `rule_set`.

    Their receivers err now and then, but with RuleSet.DEFAULT.
    """
    width = len(str(plan.vehicles))
    rounds = None if plan.seconds is None else max(1, math.ceil(plan.seconds * plan.rate_hz))
    return Scenario(
        devices=[f"sim-{number:0{width}d}" for number in range(1, plan.vehicles + 1)],
        zones=zones_on_the_way(plan.slices, plan.seed, now_us, rule_set)
        if zones is None
        else zones,
        schedule=plan.slices if rule_set is RuleSet.DEFAULT else with_glitches(plan.slices),
        oldest_us=now_us - _MINUTE_US,
        fixes=None if rounds is None else rounds * plan.vehicles,
        tags=[[NIGHT_SHIFT] if number % 2 else [] for number in range(plan.vehicles)],
    )


def replay_scenario(
    trace: Trace,
    speed: float,
    seed: int,
    zones: Sequence[SimZone] | None = None,
    rule_set: RuleSet = RuleSet.UNTIMED,
) -> Scenario:
    """Return a trace whose times are final. Deadlines lie in the past there: see
    RuleSet.UNTIMED.
    """

    def schedule(_start_us: int) -> Iterator[Slice]:
        return trace.slices(speed)

    return Scenario(
        devices=trace.devices,
        zones=zones_on_the_way(schedule, seed, trace.newest_us, rule_set)
        if zones is None
        else zones,
        schedule=schedule,
        oldest_us=trace.oldest_us,
        fixes=len(trace.fixes),
        tags=[[NIGHT_SHIFT] if number % 2 else [] for number in range(len(trace.devices))],
    )
