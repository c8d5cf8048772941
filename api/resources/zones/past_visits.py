"""The visits that a zone would have told of a time, had it been there: also of before it was drawn,
and of machines on which it does not bear.

Nothing is stored, and no event is told. The engine is that of ingest, which takes each machine's
first fix in that time, or after a time far away, as the first that it ever sent.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok, optional_time_text, time_text
from api.http.problems import bad_parameter, not_found, unavailable
from api.limits.turns import refusing_when_full
from api.request.access import Access, HistoryReader
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.gps_areas import area_of
from api.resources.zones.trial import max_speed_mps
from api.trials.zone_trials import FIX_DTYPE, FoundTransition, TrialAnswer, TrialRequest
from archive.pasts import Moment
from db.archive import archived_days, past_times
from db.core.connect import Connection
from db.core.table import db_now
from db.fixes import zone_pasts
from db.fixes.areas import Area
from db.fixes.fix_filters import FixFilter
from db.fixes.id_numbers import numbered
from db.fixes.zone_pasts import PastSpan
from db.history.binary_arrays import POSTGRES_EPOCH_US
from db.resources import organizations, zones
from db.resources.organizations import Organization
from db.resources.zones import Zone
from geofence.model.rules import COARSE_MARGIN, MAX_ACCURACY_M, Rules
from geofence.shapes.stored import StoredShape, read_stored
from geofence.zones.coverage import Coverage
from telemetry.times import to_datetime, to_us

router = APIRouter(
    prefix="/v1/zones/{id}/past-visits", tags=["zone-trials"], route_class=TenantRoute
)

MOST_DAYS = 31
MOST_FIXES = 200_000
MOST_VISITS = 1_000
_METRES_OF_DEGREE = 111_000  # of latitude, or fewer
_A_DAY = timedelta(days=1)
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
_Inferred = Annotated[str, fields.text(30, "segment")]


class PastVisit(BaseModel):
    """One stay. Of one that had not ended, `left_at` and what belongs to it are null."""

    asset_id: fields.AssetId
    entered_at: datetime
    entry_lat: fields.Latitude
    entry_lon: fields.Longitude
    entry_cause: Annotated[str, fields.text(30, "moved")] = Field(
        description="initial: with its first fix it was inside already"
    )
    entry_inferred: _Inferred | None = Field(description="null: a fix inside began it")
    left_at: datetime | None
    exit_lat: fields.Latitude | None
    exit_lon: fields.Longitude | None
    exit_inferred: _Inferred | None
    duration_s: float | None = Field(ge=0, examples=[1800.5])


class PastVisits(BaseModel):
    """Visits, the first ones first."""

    data: list[PastVisit] = Field(max_length=MOST_VISITS)
    is_cut: bool = Field(
        description=f"there is more: than {MOST_FIXES:,} fixes, or than can be told. Ask for a"
        " shorter time, or for fewer machines"
    )


class PastQuery(fields.Query):
    """Fixes with `time` in [from, to)."""

    asset_id: fields.AssetIds | None = None
    since: Annotated[
        fields.Time | None, Field(alias="from", description="without it a day before to")
    ] = None
    until: Annotated[
        fields.Time | None,
        Field(alias="to", description=f"at most {MOST_DAYS} days later; without it now"),
    ] = None


@router.get("", operation_id="getZonePastVisits", response_model=PastVisits)
async def get_past_visits(
    access: HistoryReader,
    zone_id: Annotated[fields.ZoneId, Path(alias="id")],
    query: Annotated[PastQuery, Query()],
) -> Response:
    """Judge the stored fixes of up to 31 days by a zone as it is now, with its rules, wherever it
    was then. Nothing is made.
    """
    past = _Past(access, zone_id, query)
    with refusing_when_full("pasts of zones"):
        found = await access.state.zone_trials.judge(access.caller.org_id, past.request)
    if found is None:
        raise unavailable("It took too long: ask for fewer machines, or a shorter time.")
    return ok(past.item(found))


class _Past:
    """A request, and the machines that were read for it."""

    def __init__(self, access: Access, zone_id: UUID, query: PastQuery) -> None:
        self._access, self._zone_id, self._query = access, zone_id, query
        self._assets: list[UUID] = []
        self._is_cut = False

    async def request(self) -> TrialRequest:
        """Read the fixes, when it is the turn of the request. Raises Problem (400, 404)."""
        async with self._access.transaction() as conn:
            await check_filters(conn, self._query)
            zone = await zones.find(conn, self._zone_id)
            if zone is None:
                raise not_found("zone")
            span = _span(self._query, await db_now(conn))
            stored = await zones.find_shape(conn, zone)
            settings = await organizations.find(conn)
            rules = Rules(**settings.rules | zone.rules)
            ids = self._query.asset_id or ()
            speeds = {
                asset: max_speed_mps(settings, asset_class)
                for asset, asset_class in await past_times.assets_of(conn, span, ids)
            }
            area = looked_at(stored, rules, settings, max(speeds.values(), default=0.0))
            fixes = await zone_pasts.around(
                conn, area, span, ids, hours_around(rules), MOST_FIXES + 1
            )
            await _check_not_archived(conn, span)  # afterwards: a day may just have moved
            self._is_cut = len(fixes) > MOST_FIXES
            assets, numbers = numbered(fixes["asset_id"])
            self._assets = [UUID(bytes=asset.tobytes()) for asset in assets]
        cut_us = _time_us(fixes)[-1:].tolist() if self._is_cut else []
        judged_to_us = [to_us(span.until)] * len(self._assets)
        judged_to_us[len(judged_to_us) - len(cut_us) :] = cut_us  # fixes come by asset
        return TrialRequest(
            **_terms(zone, stored, settings.rules),
            max_speed_mps=[speeds[asset] for asset in self._assets],
            max_accuracy_m=settings.max_accuracy_m or MAX_ACCURACY_M,
            since_us=to_us(span.since),
            until_us=to_us(span.until),
            judged_to_us=judged_to_us,
            fixes=_packed(fixes, numbers).tobytes(),
        )

    def item(self, found: TrialAnswer) -> dict[str, Any]:
        """Return a PastVisits."""
        visits = sorted(
            (visit for each in self._by_asset(found.found) for visit in each),
            key=lambda visit: (visit["entered_at"], visit["asset_id"]),
        )
        return {"data": visits, "is_cut": self._is_cut or found.is_cut}

    def _by_asset(self, found: Sequence[FoundTransition]) -> list[list[dict[str, Any]]]:
        visits: list[list[dict[str, Any]]] = [[] for _ in self._assets]
        for each in found:
            if each.transition == "enter":
                visits[each.asset].append(begun(self._assets[each.asset], each))
            elif each.transition == "exit":
                end(visits[each.asset][-1], each)
        return visits


def _span(query: PastQuery, now: datetime) -> PastSpan:
    until = min(query.until or now, now)
    since = query.since or max(until, _EARLIEST + _A_DAY) - _A_DAY
    if since >= until:
        raise bad_parameter("from", "from must be earlier than to, and than now.")
    if until - since > timedelta(days=MOST_DAYS):
        raise bad_parameter("to", f"to must be at most {MOST_DAYS} days later than from.")
    return PastSpan(since, until)


async def _check_not_archived(conn: Connection, span: PastSpan) -> None:
    """Raise Problem (400) where fixes of the time are archived."""
    extent = await archived_days.extent(conn, FixFilter(since=span.since, until=span.until))
    if extent is not None:
        message = (
            f"Fixes of up to {extent.last} are archived: ask from later on, or for a file of"
            " past-visits (POST /v1/exports)."
        )
        raise bad_parameter("from", message)


def looked_at(
    stored: StoredShape, rules: Rules, settings: Organization, max_speed_mps: float
) -> Area:
    """Return what lies so near a zone that it matters where: what fixes beyond it say is that they
    are outside, and no way between two of them is a passing through, since it would be too fast or
    too long ago. max_speed_mps: of machines, at most.
    """
    margin_m = (
        rules.max_gap_seconds * max_speed_mps / 2
        + rules.exit_buffer_m
        + rules.accuracy_clamp_m
        + COARSE_MARGIN * (settings.max_accuracy_m or MAX_ACCURACY_M)
    )
    return area_of(Coverage(read_stored([stored]), [0]), margin_m / _METRES_OF_DEGREE)


def hours_around(rules: Rules) -> int:
    """Return how many hours with fixes tell how a machine came, and that it left: as many as it may
    take to confirm either.
    """
    confirm_s = max(rules.enter_confirm_seconds, rules.exit_confirm_seconds)
    fixes = max(rules.enter_confirm_fixes, rules.exit_confirm_fixes)
    return 2 + fixes + math.ceil(confirm_s / 3_600)


def _terms(zone: Zone, stored: StoredShape, rules: dict[str, Any]) -> dict[str, Any]:
    return {
        **stored._asdict(),
        "rules": rules | zone.rules,
        "kind": zone.kind,
        "alert_on": zone.alert_on,
        "schedule": None,
    }


def _time_us(fixes: Any) -> Any:
    return fixes["time"].astype(np.int64) + POSTGRES_EPOCH_US


def _packed(fixes: Any, assets: Any) -> Any:
    """Return FIX_DTYPE. assets: by fix, the number of its asset."""
    rows = np.empty(len(fixes), FIX_DTYPE)
    for name in ("seq", "lat", "lon", "accuracy_m", "speed_mps"):
        rows[name] = fixes[name]
    _, trackers = numbered(fixes["tracker_id"])
    rows["asset"], rows["tracker"], rows["time_us"] = assets, trackers, _time_us(fixes)
    return rows


def begun(asset_id: UUID, enter: Moment | FoundTransition) -> dict[str, Any]:
    """Return a PastVisit that lasts."""
    return {
        "asset_id": id_text("ast", asset_id),
        "entered_at": time_text(to_datetime(enter.time_us)),
        "entry_lat": enter.lat,
        "entry_lon": enter.lon,
        "entry_cause": enter.cause,
        "entry_inferred": enter.inferred,
        "left_at": None,
        "exit_lat": None,
        "exit_lon": None,
        "exit_inferred": None,
        "duration_s": None,
    }


def end(visit: dict[str, Any], exit_: Moment | FoundTransition) -> None:
    """Make a PastVisit one that ended."""
    left_at = to_datetime(exit_.time_us)
    entered_at = datetime.fromisoformat(visit["entered_at"])
    visit |= {
        "left_at": optional_time_text(left_at),
        "exit_lat": exit_.lat,
        "exit_lon": exit_.lon,
        "exit_inferred": exit_.inferred,
        "duration_s": (left_at - entered_at).total_seconds(),
    }
