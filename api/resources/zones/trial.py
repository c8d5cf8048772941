"""A trial of a zone that is not there, over fixes of up to a day: what it would have told.

Nothing is made, and nothing is stored. The engine is that of ingest (`geofence`), which takes each
machine's first fix in the span as the first that it ever sent.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
import numpy as np
from fastapi import APIRouter, Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok, time_text
from api.http.problems import Fault, bad_field, not_found, unavailable
from api.limits.geometry_process import CheckedShape
from api.limits.turns import refusing_when_full
from api.request.access import Access, Dispatcher
from api.request.route import LargeBodyRoute
from api.resources.zones.bodies import NewZone, shape_of
from api.resources.zones.options import changed_rules, check_assets, check_schedule, stored_assets
from api.resources.zones.validation import check_shape
from api.trials.zone_trials import FIX_DTYPE, MOST_FOUND, TrialAnswer, TrialRequest, Word
from db.core.connect import Connection
from db.core.table import db_now
from db.core.tenant import reading
from db.fixes import zone_trials
from db.fixes.areas import Box
from db.fixes.zone_trials import TrialSpan, TriedAsset
from db.history import gps_events
from db.history.gps_events import PastFix
from db.resources import assets, organizations
from db.resources.organizations import Organization
from geofence.model.rules import MAX_ACCURACY_M, MAX_SPEED_MPS, MAX_SPEED_MPS_OF_CLASS
from telemetry.times import to_datetime, to_us

router = APIRouter(prefix="/v1/zones/try", tags=["zone-trials"], route_class=LargeBodyRoute)

MOST_ASSETS = 20
MOST_FIXES = 200_000
MOST_HOURS = 24
_PAGE = 2_000  # fixes that are read at a time
_MOST_SEQ = 2**31 - 1
_NEAR_DEG = (
    0.01  # round the zone, about a kilometre: whoever only passes through has few fixes in it
)

_Number = Annotated[int, Field(ge=0, le=10 * MOST_FIXES, examples=[2])]


_AssetIds = Annotated[list[fields.AssetId], Field(min_length=1, max_length=MOST_ASSETS)]


class NewZoneTrial(NewZone):
    """A new zone that is only tried; external_id and valid_from make no difference."""

    since: fields.Time = Field(
        alias="from", description="the first instant", examples=["2026-11-29T06:00:00Z"]
    )
    until: fields.Time = Field(
        alias="to",
        description=f"just after the last instant, at most {MOST_HOURS} h later",
        examples=["2026-11-29T18:00:00Z"],
    )
    asset_ids: _AssetIds | None = Field(
        default=None,
        description=f"null: the {MOST_ASSETS} that were found near the zone most often",
    )


class TriedAssetItem(BaseModel):
    """An asset that was looked at."""

    asset_id: fields.AssetId
    fixes: _Number
    judged_to: datetime = Field(
        description="`to`, or the time of its last fix that was looked at where it has more"
    )


class TrialCountsItem(BaseModel):
    """Numbers of all transitions."""

    enter: _Number
    exit: _Number
    dwell: _Number
    overspeed: _Number
    pass_through: _Number = Field(description="of the enters")
    alerts: _Number = Field(description="with an event")


class TriedTransition(BaseModel):
    """One transition that there would have been."""

    asset_id: fields.AssetId
    transition: Word = Field(description="schedule: it was in the wrong place when hours began")
    occurred_at: datetime
    lat: fields.Latitude
    lon: fields.Longitude
    cause: Annotated[str, fields.text(30, "moved")]
    inferred: Annotated[str, fields.text(30, "segment")] | None
    event_type: Annotated[str, fields.text(50, "asset.geofence_breach")] | None = Field(
        description="of the event that would have been published; null: none"
    )


class ZoneTrial(BaseModel):
    """The transitions that a zone would have told."""

    assets: Annotated[list[TriedAssetItem], Field(max_length=MOST_ASSETS)]
    fixes: _Number = Field(description="of all these assets, that were looked at")
    counts: TrialCountsItem
    data: Annotated[list[TriedTransition], Field(max_length=MOST_FOUND)] = Field(
        description="the first ones, by time"
    )
    is_cut: bool = Field(
        description="there is more: assets near the zone, fixes, or transitions that `data` lacks"
    )


@router.post("", operation_id="tryZone", response_model=ZoneTrial)
async def try_zone(access: Dispatcher, body: Annotated[NewZoneTrial, Body()]) -> Response:
    """Judge stored fixes of up to a day by a zone that is not there. Nothing is made."""
    _check_span(body)
    check_schedule(body.schedule)
    checked = await check_shape(access, shape_of(body))
    async with _reading(access) as conn:
        await check_assets(conn, body.assets)
        await _check_chosen(conn, body.asset_ids)
    trial = _Trial(access, body, checked)
    with refusing_when_full("trials of zones"):
        found = await access.state.zone_trials.judge(access.caller.org_id, trial.request)
    if found is None:
        raise unavailable("The trial took too long: choose fewer assets, or a shorter time.")
    return ok(trial.item(found))


def _reading(access: Access) -> AbstractAsyncContextManager[Connection]:
    return reading(access.state.connections, access.caller.org_id)


def _check_span(body: NewZoneTrial) -> None:
    if body.since >= body.until:
        raise bad_field("/to", "to must be later than from.")
    if body.until - body.since > timedelta(hours=MOST_HOURS):
        raise bad_field("/to", f"to must be at most {MOST_HOURS} hours later than from.")


async def _check_chosen(conn: Connection, asset_ids: Sequence[UUID] | None) -> None:
    """Raise Problem (404) for the first asset that the organization has not."""
    missing = await assets.missing(conn, asset_ids) if asset_ids else set[UUID]()
    for place, asset_id in enumerate(asset_ids or ()):
        if asset_id in missing:
            fault = Fault("There is no such asset.", pointer=f"/asset_ids/{place}")
            raise not_found("asset", fault=fault)


class _Trial:
    """A request for a trial, and the fixes that were read for it."""

    def __init__(self, access: Access, body: NewZoneTrial, checked: CheckedShape) -> None:
        self._access, self._body, self._checked = access, body, checked
        self._tried: list[TriedAsset] = []
        self._fixes: list[int] = []  # by asset, as the next
        self._judged_to: list[datetime] = []
        self._is_cut = False

    async def request(self) -> TrialRequest:
        """Read the fixes, when the trial is next."""
        body = self._body
        chosen = stored_assets(body.assets)
        span = TrialSpan(body.since, body.until)
        async with _reading(self._access) as conn:
            settings = await organizations.find(conn)
            until = min(body.until, await db_now(conn))
            asset_ids = body.asset_ids
            if asset_ids is None:
                near = await zone_trials.near(conn, self._around(), span, chosen, MOST_ASSETS + 1)
                self._is_cut = len(near) > MOST_ASSETS
                asset_ids = near[:MOST_ASSETS]
            self._tried = await zone_trials.tried(conn, asset_ids, chosen)
            fixes = [await self._read(conn, number, span) for number in range(len(self._tried))]
        return TrialRequest(
            wkb=self._checked.wkb,
            radius_m=body.radius_m,
            width_m=body.width_m,
            rules=settings.rules | changed_rules({}, body),
            kind=body.kind,
            alert_on=body.alert_on,
            schedule=body.schedule,
            max_speed_mps=[max_speed_mps(settings, asset.asset_class) for asset in self._tried],
            max_accuracy_m=settings.max_accuracy_m or MAX_ACCURACY_M,
            since_us=to_us(body.since),
            until_us=max(to_us(body.since), to_us(until)),
            judged_to_us=[to_us(at) for at in self._judged_to],
            fixes=b"".join(fixes),
        )

    def _around(self) -> Box:
        west, south, east, north = self._checked.measures.bbox
        return Box(west - _NEAR_DEG, south - _NEAR_DEG, east + _NEAR_DEG, north + _NEAR_DEG)

    async def _read(self, conn: Connection, number: int, span: TrialSpan) -> bytes:
        """Return the fixes of an asset: as many as its share of what may still be read."""
        share = (MOST_FIXES - sum(self._fixes)) // (len(self._tried) - number)
        asset_id, org_id = self._tried[number].id, self._access.caller.org_id
        after = (span.since - timedelta(microseconds=1), _MOST_SEQ)
        trackers: dict[UUID, int] = {}
        read, count, judged_to = list[bytes](), 0, span.until
        while count <= share:
            page = await gps_events.following(conn, org_id, asset_id, after, _PAGE)
            within = [fix for fix in page if to_datetime(fix.time_us) < span.until]
            kept = within[: share - count]
            read.append(_packed(number, kept, trackers))
            count += len(kept)
            if len(kept) < len(within):
                self._is_cut = True
                judged_to = to_datetime(kept[-1].time_us) if kept else after[0]
            if len(page) < _PAGE or len(kept) < len(page):
                break
            after = (to_datetime(page[-1].time_us), page[-1].seq)
        self._fixes.append(count)
        self._judged_to.append(judged_to)
        return b"".join(read)

    def item(self, found: TrialAnswer) -> dict[str, Any]:
        """Return a ZoneTrial."""
        ids = [id_text("ast", asset.id) for asset in self._tried]
        return {
            "assets": [
                {"asset_id": asset_id, "fixes": fixes, "judged_to": time_text(judged_to)}
                for asset_id, fixes, judged_to in zip(
                    ids, self._fixes, self._judged_to, strict=True
                )
            ],
            "fixes": sum(self._fixes),
            "counts": msgspec.structs.asdict(found.counts),
            "data": [
                {
                    "asset_id": ids[each.asset],
                    "transition": each.transition,
                    "occurred_at": time_text(to_datetime(each.time_us)),
                    "lat": each.lat,
                    "lon": each.lon,
                    "cause": each.cause,
                    "inferred": each.inferred,
                    "event_type": each.event_type,
                }
                for each in found.found
            ],
            "is_cut": self._is_cut or found.is_cut,
        }


def _packed(asset: int, fixes: Sequence[PastFix], trackers: dict[UUID, int]) -> bytes:
    """Return fixes as FIX_DTYPE rows. trackers: numbers of all that were met; grows."""
    rows = [
        (
            asset,
            trackers.setdefault(fix.tracker_id, len(trackers)),
            fix.time_us,
            fix.seq,
            fix.lat,
            fix.lon,
            math.nan if fix.accuracy_m is None else fix.accuracy_m,
            math.nan if fix.speed_mps is None else fix.speed_mps,
        )
        for fix in fixes
    ]
    return np.array(rows, FIX_DTYPE).tobytes()


def max_speed_mps(settings: Organization, asset_class: str) -> float:
    """Return above which speed a fix of an asset is suspect."""
    usual = MAX_SPEED_MPS_OF_CLASS.get(asset_class, MAX_SPEED_MPS)
    return settings.max_speed_mps.get(asset_class, usual)
