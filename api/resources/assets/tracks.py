"""The upload of a track to an asset: a job gives its points to ingest (`use_cases.uploads`)."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import accepted
from api.http.problems import not_found
from api.request.access import Dispatcher
from api.request.content import ContentRoute, takes
from api.resources.jobs import JobItem, make_job
from db.resources.jobs import NewJob
from db.resources.kinds import KINDS
from telemetry.tracks import TrackFormat
from use_cases.uploads import UploadedFile

MOST_BYTES = 20_000_000
_FORMATS: Mapping[str, TrackFormat] = {
    "application/gpx+xml": "gpx",
    "application/vnd.google-earth.kml+xml": "kml",
    "text/csv": "csv",
    "application/geo+json": "geojson",
    "text/plain": "nmea",
}


class _TrackRoute(ContentRoute):
    body_limit_bytes = MOST_BYTES
    content_types = tuple(_FORMATS)


router = APIRouter(prefix="/v1/assets", tags=["assets"], route_class=_TrackRoute)
_AssetPath = Annotated[fields.AssetId, Path(alias="id")]
_SCHEMA: dict[str, Any] = {
    "type": "string",
    "format": "binary",
    "minLength": 1,
    "maxLength": MOST_BYTES,
    "description": "A GPX or KML file, CSV with the columns time, lat and lon, GeoJSON with times,"
    " or, as text/plain, lines of NMEA 0183",
    "examples": ["time,lat,lon,speed_mps\n2026-01-31T12:00:00Z,47.0502,8.3093,12.5\n"],
}


class TrackQuery(fields.Query):
    """How a track is uploaded."""

    webhooks: Annotated[
        bool, Field(description="whether webhook endpoints get the events of the track")
    ] = False


@router.post(
    "/{id}/tracks",
    operation_id="createAssetTrack",
    status_code=202,
    response_model=JobItem,
    openapi_extra=takes(_SCHEMA, *_FORMATS),
)
async def upload_track(
    request: Request,
    access: Dispatcher,
    asset_id: _AssetPath,
    query: Annotated[TrackQuery, Query()],
) -> Response:
    """Upload a track of the asset: a job gives its points on to be judged, as fixes of the tracker
    that the asset had at each time.
    """
    form = _FORMATS[request.state.content_type]
    file = UploadedFile(form, request.state.content, query.webhooks)
    content = msgspec.msgpack.encode(file)
    async with access.transaction() as conn:
        if not await KINDS["asset"].lock_existing(conn, [asset_id]):
            raise not_found("asset")
        job = await make_job(conn, access, NewJob("upload_track", content, asset_id=asset_id))
    return accepted(job)
