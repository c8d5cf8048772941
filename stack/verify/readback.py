"""The data of one organization, read back through the API: fixes, quarantine, visits and events.

Fixes are read tracker by tracker, which walks along the index, and counted once for the whole
organization, so that a row of a tracker that is not ours does not go unseen.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from stack.scenario.api_client import ApiClient
from stack.verify.results import Quarantined, StoredFix, StoredVisit
from telemetry.times import format_time, parse_time_us

_TRACKERS_AT_A_TIME = 4


class _Fix(msgspec.Struct):
    tracker_id: str
    time: str
    seq: int
    asset_id: str | None
    lat: float
    lon: float
    suspect: bool
    rollover: bool
    received_at: str


class _Visit(msgspec.Struct):
    id: str
    asset_id: str
    zone_id: str
    zone_version: int
    entered_at: str
    entry_cause: str
    entry_inferred: str | None
    dwelled_at: str | None
    left_at: str | None
    exit_cause: str | None
    exit_inferred: str | None
    overspeed_at: str | None
    retracted: bool = False


class _Quarantined(msgspec.Struct):
    tracker_id: str | None
    reason: str
    seen: int
    counts_only: bool


async def read_fixes(client: ApiClient, tracker_ids: Sequence[str]) -> list[StoredFix]:
    """Return all stored fixes of these trackers; raises stack.scenario.api_client.ApiError."""
    return [_stored_fix(fix) for fix in await _read_fixes(client, tracker_ids)]


async def read_receipt_times(
    client: ApiClient, tracker_ids: Sequence[str]
) -> dict[tuple[str, int, int], int]:
    """Return when each stored fix of these trackers was received, by its identity."""
    return {
        _stored_fix(fix)[:3]: parse_time_us(fix.received_at)
        for fix in await _read_fixes(client, tracker_ids)
    }


async def _read_fixes(client: ApiClient, tracker_ids: Sequence[str]) -> list[_Fix]:
    turns = asyncio.Semaphore(_TRACKERS_AT_A_TIME)

    async def of_tracker(tracker_id: str) -> list[_Fix]:
        async with turns:
            pages = client.walk("/v1/gps-events", {"tracker_id": tracker_id})
            return [msgspec.json.decode(raw, type=_Fix) async for page in pages for raw in page]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(of_tracker(tracker_id)) for tracker_id in tracker_ids]
    return [fix for task in tasks for fix in task.result()]


async def read_visits(client: ApiClient, zone_id: str | None = None) -> list[StoredVisit]:
    """Return all visits of the organization that hold, or those in one zone."""
    pages = client.walk("/v1/visits", {} if zone_id is None else {"zone_id": zone_id})
    read = [msgspec.json.decode(raw, type=_Visit) async for page in pages for raw in page]
    return [_visit(visit) for visit in read if not visit.retracted]


async def read_quarantine(client: ApiClient, since_us: int | None = None) -> list[Quarantined]:
    """Return all rows of quarantine of the organization, or those that were received since an
    instant.
    """
    pages = client.walk(
        "/v1/quarantine", {} if since_us is None else {"from": format_time(since_us)}
    )
    read = [msgspec.json.decode(raw, type=_Quarantined) async for page in pages for raw in page]
    return [Quarantined(row.tracker_id, row.reason, row.seen, row.counts_only) for row in read]


async def read_events(client: ApiClient, after_seq: int = 0) -> list[bytes]:
    """Return all events of the organization after a seq, by rising seq, as JSON texts."""
    pages = client.walk("/v1/events", {"after": after_seq})
    return [bytes(raw) async for page in pages for raw in page]


def _stored_fix(fix: _Fix) -> StoredFix:
    time_us = parse_time_us(fix.time)
    return StoredFix(
        fix.tracker_id,
        time_us,
        fix.seq,
        fix.asset_id,
        fix.lat,
        fix.lon,
        fix.suspect,
        fix.rollover,
    )


def _visit(visit: _Visit) -> StoredVisit:
    return StoredVisit(
        visit.id,
        visit.asset_id,
        visit.zone_id,
        visit.zone_version,
        parse_time_us(visit.entered_at),
        visit.entry_cause,
        visit.entry_inferred,
        _instant_us(visit.dwelled_at),
        _instant_us(visit.left_at),
        visit.exit_cause,
        visit.exit_inferred,
        _instant_us(visit.overspeed_at),
    )


def _instant_us(text: str | None) -> int | None:
    return None if text is None else parse_time_us(text)
