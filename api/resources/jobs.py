"""Jobs: long work that was asked for, like an import or an upload, with its progress and result.

They are made where the work is asked for (`api.resources.imports`, `api.resources.assets.tracks`,
`api.resources.erasures`, `api.resources.export_jobs`) and done by `opsc deliver`. A job goes a week
after it was made.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.http.problems import Problem, forbidden
from api.request.access import Access, Dispatcher, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Item, Resource, item_of
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.tenant import Actor
from db.resources import jobs
from db.resources.jobs import MOST_OPEN, JobKind, JobState, NewJob, TooManyJobs
from operations.jobs import MOST_FAULTS

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=TenantRoute)
_JobPath = Annotated[fields.JobId, Path(alias="id")]
_RETRY_S = 10


class JobFault(BaseModel):
    """What is wrong with a line of a file, or with a point of a track."""

    message: Annotated[str, fields.text(300, "There is no such client.")]
    line: Annotated[int | None, Field(ge=1, le=3_000_000, examples=[7])] = Field(
        default=None, description="of the file, the header being 1"
    )
    column: Annotated[str | None, fields.text(200, "client_id")] = None
    time: Annotated[str | None, fields.text(40, "2026-01-31T12:00:00Z")] = Field(
        default=None, description="of the point"
    )


class ErasedPositions(BaseModel):
    """Positions that were erased, by their places."""

    since: datetime = Field(alias="from", description="the first instant of the erased time")
    until: datetime = Field(alias="to", description="the first instant behind it")
    fixes: fields.Count = Field(description="in the database")
    archived_fixes: fields.Count = Field(description="in the archive")
    messages: fields.Count = Field(description="in quarantine")
    objects: fields.Count = Field(
        description="of the archive that were removed: days that were written anew, and leftovers"
    )
    read_back_at: datetime | None = Field(
        description="when all places had been read again, and nothing was left; null: not yet"
    )


class ExportedFile(BaseModel):
    """A file that was written: `GET /v1/exports/{id}/file`."""

    name: Annotated[str, fields.text(60, "gps-events.parquet")]
    media_type: Annotated[str, fields.text(100, "application/vnd.apache.parquet")]
    bytes: fields.Count
    sha256: Annotated[str, fields.text(64, "0" * 64)]


class JobResult(BaseModel):
    """What came of the lines, or points, that were looked at."""

    written: fields.Count = Field(
        description="rows that were made, or points given on to be judged"
    )
    known: fields.Count = Field(description="that were stored already")
    conflicts: fields.Count = Field(description="points whose time has another fix")
    faulty: fields.Count = Field(description="others that were left out")
    faults: list[JobFault] = Field(max_length=MOST_FAULTS)
    more_faults: bool = Field(description="whether there are more than are listed")
    erased: ErasedPositions | None = Field(default=None, description="of an erasure alone")
    file: ExportedFile | None = Field(default=None, description="of an export that is done, alone")


class JobItem(BaseModel):
    """A job."""

    id: fields.JobId
    kind: JobKind
    state: JobState
    done: fields.Count = Field(description="lines, points or rows; of an erasure what is gone")
    total: fields.Count | None = Field(description="null: not known yet")
    result: JobResult
    error: Annotated[str | None, fields.text(500, "Line 7: lat '91' is not a number.")] = Field(
        description="why it failed"
    )
    asset_id: fields.AssetId | None = Field(description="whose track is uploaded")
    employee_id: fields.EmployeeId | None = Field(description="whose positions are erased")
    created_by: fields.UserId
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime = Field(description="when the job is removed")


class JobQuery(SortedQuery):
    """The filters of jobs."""

    kind: JobKind | None = None
    state: JobState | None = None
    open: Annotated[
        bool | None, Field(description="those that wait or run, or those that have ended")
    ] = None


_jobs = Resource(jobs.table, item_of(JobItem))


@router.get("", operation_id="listJobs", response_model=ListOf[JobItem])
async def list_jobs(access: Reader, query: Annotated[JobQuery, Query()]) -> Response:
    """List jobs, newest first."""
    return await _jobs.list(access, query)


@router.get("/{id}", operation_id="getJob", response_model=JobItem)
async def get_job(access: Reader, job_id: _JobPath) -> Response:
    """Return one job."""
    return await _jobs.get(access, job_id)


@router.post("/{id}/cancel", operation_id="cancelJob", response_model=JobItem)
async def cancel_job(access: Dispatcher, job_id: _JobPath) -> Response:
    """Cancel a job. What was done stays; one that has ended stays as it is."""
    async with _jobs.locked(access, job_id) as (conn, job):
        if job.kind == "erase_positions" and access.caller.role != "admin":
            raise forbidden("An erasure is for admins to cancel.")
        if job.ended_at is None:
            await jobs.cancel(conn, job_id)
            job = await _jobs.found(conn, job_id)
    return ok(_jobs.item(job))


async def make_job(conn: Connection, access: Access, new: NewJob) -> Item:
    """Make a job on behalf of the caller, and return it as it is shown. Raises Problem (429)."""
    caller = access.caller
    actor = Actor(caller.user_id, caller.via, caller.credential_id, access.request_id)
    try:
        return _jobs.item(await jobs.insert(conn, new, actor))
    except TooManyJobs:
        detail = f"{MOST_OPEN} jobs of the organization wait or run: wait for one, or cancel one."
        headers = {"Retry-After": str(_RETRY_S)}
        raise Problem(429, "too_many_jobs", detail, headers=headers) from None
