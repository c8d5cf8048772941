"""The registration of a scenario with a system: assets, trackers, zones.

Through its REST interface; where there are many trackers and the database is at hand, these and
their assets go into it as the API writes them, many in one transaction: that takes a minute for
100,000, and the API an hour.

Zones are in force and trackers assigned from an hour before the oldest fix, so that every fix of
the run is judged by them.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from db.core.connect import connect
from db.core.ids import new_id
from db.core.registry_revision import bump
from db.core.tenant import act_for
from db.resources import assets, trackers
from device_sim.fleet import FleetError
from device_sim.plan import SimTracker
from mqtt import BrokerAddress, ConnectRefusedError, MqttError, Session, SessionOptions
from stack.scenario.api_client import ApiClient
from stack.scenario.scenario import Scenario
from stack.scenario.zones import SimZone
from telemetry.ids import format_id
from telemetry.times import format_time, parse_time_us, to_datetime

_KNOWN_WITHIN_S, _ASK_EVERY_S = 15.0, 0.1


async def known_to_broker(address: BrokerAddress, newest: SimTracker) -> None:
    """Wait until the broker lets in the tracker that was registered last; it knows all others then.

    Raises device_sim.fleet.FleetError where it comes to nothing.
    """
    options = SessionOptions(
        client_id=newest.tracker_id,
        username=newest.tracker_id,
        password=newest.secret.encode(),
        clean_start=True,
        session_expiry_s=0,
    )
    deadline = time.monotonic() + _KNOWN_WITHIN_S
    while True:
        try:
            async with Session(address, options) as session, asyncio.timeout(_KNOWN_WITHIN_S):
                return await session.connected.wait()
        except ConnectRefusedError as error:
            if time.monotonic() > deadline:
                text = f"{address} does not know tracker {newest.tracker_id}"
                raise FleetError(f"{text} after {_KNOWN_WITHIN_S:g} s") from error
        except (MqttError, TimeoutError) as error:
            raise FleetError(f"cannot connect to {address}: {error}") from error
        await asyncio.sleep(_ASK_EVERY_S)


_AT_A_TIME = 8
_MANY_TRACKERS = 1_000
_IN_ONE_TRANSACTION = 1_000
_SECRET_BYTES = 32
_SECOND_US = 1_000_000
_HOUR_US = 3600 * _SECOND_US

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Registered:
    """The system's ids of the scenario's things, in the same positions as in the scenario."""

    trackers: Sequence[SimTracker]
    asset_ids: Sequence[str]
    zone_ids: Sequence[str]
    valid_from_us: int
    tags: Sequence[Sequence[str]]  # of the assets
    newest: SimTracker | None = None  # the tracker that was registered last


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The database of the system, and the organization that the client acts for."""

    database_url: str = field(repr=False)
    org_id: UUID


async def register(
    client: ApiClient,
    scenario: Scenario,
    *,
    receipts: bool = False,
    shortcut: Shortcut | None = None,
) -> Registered:
    """Make everything; raises stack.scenario.api_client.ApiError where the system refuses
    something.

    receipts: whether trackers are told what becomes of their messages.
    """
    valid_from_us = (scenario.oldest_us - _HOUR_US) // _SECOND_US * _SECOND_US
    valid_from = format_time(valid_from_us)

    async def zone(sim_zone: SimZone) -> str:
        return (await client.post("/v1/zones", zone_body(sim_zone, valid_from)))["id"]

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
            "receipts": receipts,
        }
        made = await client.post("/v1/trackers", body)
        sim_tracker = SimTracker(made["id"], made["secret"])
        by_age.append((parse_time_us(made["created_at"]), sim_tracker))
        return sim_tracker

    by_age: list[tuple[int, SimTracker]] = []
    tags = list(scenario.tags) or [[]] * len(scenario.devices)
    zone_ids = await _make_all(zone, scenario.zones)
    if shortcut is not None and len(scenario.devices) > _MANY_TRACKERS:
        made = await _written(shortcut, scenario.devices, tags, valid_from_us, receipts=receipts)
        asset_ids, all_made = (
            [asset_id for asset_id, _ in made],
            [sim_tracker for _, sim_tracker in made],
        )
        return Registered(all_made, asset_ids, zone_ids, valid_from_us, tags, all_made[-1])
    asset_ids = await _make_all(asset, list(zip(scenario.devices, tags, strict=True)))
    made_here = await _make_all(tracker, list(zip(scenario.devices, asset_ids, strict=True)))
    _, newest = max(by_age, key=lambda pair: pair[0])
    return Registered(made_here, asset_ids, zone_ids, valid_from_us, tags, newest)


async def _written(
    shortcut: Shortcut,
    devices: Sequence[str],
    tags: Sequence[Sequence[str]],
    since_us: int,
    *,
    receipts: bool,
) -> list[tuple[str, SimTracker]]:
    """Return assets with their trackers, written into the database."""
    made: list[tuple[str, SimTracker]] = []
    things = list(zip(devices, tags, strict=True))
    async with await connect(shortcut.database_url, "opsc-sim") as conn:
        for start in range(0, len(things), _IN_ONE_TRANSACTION):
            async with conn.transaction():
                await act_for(conn, shortcut.org_id)
                revision, at = await bump(conn)
                async with conn.pipeline():
                    for device, own_tags in things[start : start + _IN_ONE_TRANSACTION]:
                        asset = _asset(device, own_tags, at)
                        tracker = _tracker(device, at, receipts=receipts)
                        secret = secrets.token_urlsafe(_SECRET_BYTES)
                        await assets.insert(conn, asset)
                        await trackers.insert(conn, tracker, secret, revision)
                        await trackers.begin_assignment(
                            conn,
                            tracker_id=tracker.id,
                            asset_id=asset.id,
                            assigned_from=to_datetime(since_us),
                            revision=revision,
                        )
                        sim_tracker = SimTracker(format_id("trk", tracker.id), secret)
                        made.append((format_id("ast", asset.id), sim_tracker))
    return made


def _asset(device: str, tags: Sequence[str], at: datetime) -> assets.Asset:
    return assets.Asset(
        id=new_id(),
        name=device,
        external_id=device,
        make=None,
        model=None,
        asset_class="vehicle",
        tags=sorted(tags),
        created_at=at,
        updated_at=at,
    )


def _tracker(device: str, at: datetime, *, receipts: bool) -> trackers.Tracker:
    return trackers.Tracker(
        id=new_id(),
        name=device,
        external_id=device,
        receipts=receipts,
        asset_id=None,
        assigned_from=None,
        revoked_at=None,
        created_at=at,
        updated_at=at,
    )


def zone_body(zone: SimZone, valid_from: str | None = None) -> dict[str, object]:
    """Return a zone as it is posted; in force from valid_from, or from now."""
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


async def _make_all(make: Callable[[T], Awaitable[R]], things: Sequence[T]) -> list[R]:
    """`make` of each thing, a few at a time; the first error ends it."""
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def make_in_turn(thing: T) -> R:
        async with turns:
            return await make(thing)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(make_in_turn(thing)) for thing in things]
    return [task.result() for task in tasks]
