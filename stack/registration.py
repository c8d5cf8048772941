"""Makes a scenario known to a system through its REST interface: assets, trackers, zones.

Zones are in force and trackers assigned from an hour before the oldest fix, so that every fix of
the run is judged by them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from device_sim.plan import SimTracker
from stack.client import ApiClient
from stack.scenario import Scenario
from stack.sim_zone import SimZone
from telemetry.times import format_time, parse_time_us

_AT_A_TIME = 8
_SECOND_US = 1_000_000
_HOUR_US = 3600 * _SECOND_US

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Registered:
    """What the system calls the scenario's things: same positions as in the scenario."""

    trackers: Sequence[SimTracker]
    asset_ids: Sequence[str]
    zone_ids: Sequence[str]
    valid_from_us: int
    tags: Sequence[Sequence[str]]  # of the assets
    newest: SimTracker | None = None  # the tracker that was registered last


async def register(client: ApiClient, scenario: Scenario) -> Registered:
    """Make everything; raises stack.client.ApiError where the system refuses something."""
    valid_from_us = (scenario.oldest_us - _HOUR_US) // _SECOND_US * _SECOND_US
    valid_from = format_time(valid_from_us)

    async def zone(one: SimZone) -> str:
        return (await client.post("/v1/zones", zone_body(one, valid_from)))["id"]

    async def asset(pair: tuple[str, Sequence[str]]) -> str:
        device, own_tags = pair
        body = {"name": device, "external_id": device, "tags": list(own_tags)}
        return (await client.post("/v1/assets", body))["id"]

    async def tracker(pair: tuple[str, str]) -> SimTracker:
        device, asset_id = pair
        body = {
            "name": device,
            "external_id": device,
            "asset_id": asset_id,
            "assigned_from": valid_from,
        }
        made = await client.post("/v1/trackers", body)
        one = SimTracker(made["id"], made["secret"])
        by_age.append((parse_time_us(made["created_at"]), one))
        return one

    by_age: list[tuple[int, SimTracker]] = []
    tags = list(scenario.tags) or [[]] * len(scenario.devices)
    zone_ids = await _each(zone, scenario.zones)
    asset_ids = await _each(asset, list(zip(scenario.devices, tags, strict=True)))
    trackers = await _each(tracker, list(zip(scenario.devices, asset_ids, strict=True)))
    _, newest = max(by_age, key=lambda pair: pair[0])
    return Registered(trackers, asset_ids, zone_ids, valid_from_us, tags, newest)


def zone_body(zone: SimZone, valid_from: str | None = None) -> dict[str, object]:
    """As it is posted; in force from valid_from, or from now."""
    optional = {
        "valid_from": valid_from,
        "radius_m": zone.radius_m,
        "width_m": zone.width_m,
        "kind": zone.kind,
        "alert_on": zone.alert_on,
        "schedule": zone.schedule,
        "assets": None if zone.tags is None else {"tags": list(zone.tags)},
        **zone.rules,
    }
    return {
        "name": zone.name,
        "external_id": zone.external_id,
        "geometry": zone.geometry,
        **{name: value for name, value in optional.items() if value is not None},
    }


async def _each(make: Callable[[T], Awaitable[R]], things: Sequence[T]) -> list[R]:
    """`make` of each thing, a few at a time; the first error ends it."""
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def one(thing: T) -> R:
        async with turns:
            return await make(thing)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(thing)) for thing in things]
    return [task.result() for task in tasks]
