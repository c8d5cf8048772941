"""Exports that a job writes: lists as files, of any length, for whoever cannot wait for a stream.

`opsc deliver` starts `api.export_process` for each. The file is an object of the archive's store,
and goes with its job, a week after it was asked for. Only dispatchers and admins make and read
them, so a file may have what others do not see.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from fastapi import APIRouter, Body, Path
from pydantic import ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import FIX_FORMS, LIST_FORMS, Form, Shape
from api.http import fields
from api.http.encoding import accepted
from api.http.problems import Problem, bad_field, conflict, not_found, unavailable
from api.http.server import EXTENSION
from api.limits.turns import refusing_when_full
from api.request.access import Dispatcher
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources import gps_events, visits
from api.resources.exports import Asker, Export, FileQuery, Pages, Place, shape_wanted
from api.resources.jobs import JobItem, make_job
from api.resources.trips import listing as trips
from api.resources.zones import past_files
from archive.errors import StoreError
from archive.store import Store
from db.archive.archived_days import export_path
from db.resources import jobs
from db.resources.jobs import NewJob

router = APIRouter(prefix="/v1/exports", tags=["jobs"], route_class=TenantRoute)

MOST_BYTES = 2 * 1024 * 1024 * 1024
"""Of a file."""
MOST_KEPT_BYTES = 8 * 1024 * 1024 * 1024
"""Of all files of an organization that are kept."""
_PIECE_BYTES = 256 * 1024
_NOT_OF_FILES = frozenset(
    {"limit", "offset", "cursor", "cursors", "total", "max_points", "received_after"}
)
ListName: TypeAlias = Literal["gps-events", "visits", "trips", "stops", "past-visits"]


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list that is a file, too. scope: that reading it needs."""

    query: type[FileQuery]
    shape: Shape
    forms: Mapping[str, Form]
    scope: str
    pages: Callable[[Asker, Any, Place[Any]], Awaitable[Pages]]


LISTS: Mapping[ListName, ListFile] = {
    "gps-events": ListFile(
        gps_events.GpsEventQuery,
        gps_events.FIXES,
        FIX_FORMS,
        "gps-events:read",
        gps_events.file_pages,
    ),
    "visits": ListFile(
        visits.VisitQuery, visits.VISITS, LIST_FORMS, "visits:read", visits.file_pages
    ),
    "trips": ListFile(trips.TripQuery, trips.TRIPS, LIST_FORMS, "trips:read", trips.trip_pages),
    "stops": ListFile(trips.TripQuery, trips.STOPS, LIST_FORMS, "trips:read", trips.stop_pages),
    "past-visits": ListFile(
        past_files.PastFileQuery,
        past_files.PAST_VISITS,
        LIST_FORMS,
        "zone-trials:read",
        past_files.past_pages,
    ),
}
_FILTERS: dict[str, Any] = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}


class NewExport(fields.Body):
    """A list, as a file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"list": "gps-events", "form": "ndjson", "filters": _FILTERS}]
        }
    )

    list: ListName
    form: Literal["csv", "ndjson", "geojson", "gpx", "kml", "parquet"]
    filters: dict[
        Annotated[str, fields.text(30, "from")],
        Annotated[str, fields.text(4_000, "2026-01-01T00:00:00Z")],
    ] = Field(
        default={},
        max_length=20,
        description="the parameters of the list, as in its query, but those of pages",
        examples=[_FILTERS],
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is of."""

    name: str
    of: ListFile
    form: Form
    shape: Shape
    query: FileQuery


def wanted(new: NewExport) -> Wanted:
    """Read what is asked for. Raises Problem (400, 422)."""
    of = LISTS[new.list]
    forms = {form.extension: form for form in of.forms.values()}
    if (form := forms.get(new.form)) is None:
        raise bad_field("/form", f"{new.list} can be {', '.join(forms)}")
    known = {field.alias or name for name, field in of.query.model_fields.items()}
    for name in new.filters:
        if name not in known - _NOT_OF_FILES:
            raise bad_field(f"/filters/{name}", f"is no filter of a file of {new.list}")
    try:
        query = of.query.model_validate(new.filters)
    except ValidationError as error:
        fault = error.errors()[0]
        raise bad_field(f"/filters/{fault['loc'][0]}", fault["msg"]) from None
    if query.fields is not None and not {*query.fields.split(",")} <= of.shape.columns.keys():
        raise bad_field("/filters/fields", f"must be any of {', '.join(of.shape.columns)}")
    return Wanted(new.list, of, form, shape_wanted(query, of.shape, form), query)


@router.post("", operation_id="createExport", status_code=202, response_model=JobItem)
async def create_export(access: Dispatcher, body: Annotated[NewExport, Body()]) -> Response:
    """Write a list as a file: a job does it, and keeps the file for a week."""
    asked = wanted(body)
    access.check_scope(asked.of.scope)
    if access.state.archive.store is None:
        raise conflict(
            "no_archive",
            "Exports are kept in the archive, and there is none: OPSC_ARCHIVE_URL is not set.",
        )
    async with access.transaction() as conn:
        await check_filters(conn, asked.query)
        if await jobs.kept_bytes(conn) >= MOST_KEPT_BYTES:
            detail = f"The organization keeps {MOST_KEPT_BYTES:,} bytes of exports: older ones go"
            raise conflict("exports_full", f"{detail} a week after they were asked for.")
        job = await make_job(conn, access, NewJob("export", msgspec.json.encode(body.model_dump())))
    return accepted(job)


@router.get(
    "/{id}/file",
    operation_id="getExportFile",
    responses={
        200: {
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "maxLength": MOST_BYTES, "format": "binary"}
                }
            }
        }
    },
)
async def get_export_file(
    request: Request, access: Dispatcher, job_id: Annotated[fields.JobId, Path(alias="id")]
) -> Response:
    """Return the file that an export has written."""
    async with access.transaction() as conn:
        job = await jobs.table.find(conn, job_id)
        object_id = await jobs.object_of(conn, job_id)
    if job is None:
        raise not_found("job")
    if object_id is None:
        detail = "The job has no file: it is not done, is no export, or the file is gone."
        raise conflict("no_file", detail)
    file = job.result["file"]
    name, _, extension = file["name"].rpartition(".")
    access.check_scope(LISTS[name].scope)
    form = next(form for form in FIX_FORMS.values() if form.extension == extension)
    store = access.state.archive.store
    if store is None:
        raise unavailable("The archive is not set up for the API.")
    turn = AsyncExitStack()
    with refusing_when_full("exports"):
        await turn.enter_async_context(access.state.export_turns.turn(access.caller.org_id))
    try:
        opened = await _opened(store, access.caller.org_id, object_id, file["bytes"])
    except BaseException:
        await turn.aclose()
        raise
    transport = request.scope["extensions"][EXTENSION]
    answer = Export(form, name, _pieces(store, opened), turn, transport, goes_on=False)
    answer.headers["Content-Length"] = str(file["bytes"])
    return answer


async def _opened(store: Store, org_id: UUID, object_id: UUID, size: int) -> Any:
    """Open an object. Raises Problem (503)."""
    try:
        opened = await store.run(store.open, export_path(org_id, object_id))
        if await store.run(opened.size) == size:
            return opened
    except StoreError:
        pass
    raise unavailable("The file cannot be read from the archive now.", retry_after_s=60)


async def _pieces(store: Store, opened: Any) -> AsyncIterator[bytes]:
    while piece := await store.run(opened.read, _PIECE_BYTES):
        yield piece


def said(problem: Problem) -> str:
    """Return what an export's job says of a problem."""
    return " ".join([problem.detail, *(fault.message for fault in problem.faults)])
