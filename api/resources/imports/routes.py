"""Imports of assets and trackers from CSV, as jobs or as dry runs.

Each line is checked as the body of the POST of one asset or tracker when the file comes. What
depends on what is stored is looked at in a dry run, and when the job writes the line
(`use_cases.imports`).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import accepted, ok
from api.http.problems import Problem
from api.request.access import Access, Dispatcher
from api.request.content import ContentRoute, takes
from api.resources.assets.bodies import NewAsset, new_asset
from api.resources.imports.csv_lines import faults_of, read_lines
from api.resources.jobs import JobFault, JobItem, make_job
from api.resources.trackers.bodies import NewTracker, wanted_assignment
from api.resources.trackers.routes import new_tracker
from db.core.connect import Connection
from db.resources.assets import Asset
from db.resources.jobs import JobKind, NewJob
from db.resources.trackers import Tracker
from operations.jobs import MOST_FAULTS, Fault, Piece, add
from use_cases.imports import Judged, judge_assets, judge_trackers

MOST_BYTES = 2 * 1024 * 1024


class _ImportRoute(ContentRoute):
    body_limit_bytes = MOST_BYTES
    content_types = ("text/csv",)


router = APIRouter(prefix="/v1/imports", tags=["imports"], route_class=_ImportRoute)


class ImportQuery(fields.Query):
    """How a file is imported."""

    dry_run: Annotated[
        bool, Field(description="whether the file is only checked, and nothing written")
    ] = False


class ImportCheck(BaseModel):
    """What an import of the file would do now."""

    good: fields.Count = Field(description="lines that would be written")
    known: fields.Count = Field(description="lines whose external_id is stored already")
    faulty: fields.Count = Field(description="lines that would be left out")
    faults: list[JobFault] = Field(max_length=MOST_FAULTS)
    more_faults: bool = Field(description="whether there are more than are listed")


class _File(NamedTuple):
    """The lines of a file that are good by themselves, and the faults of the others."""

    lines: Sequence[tuple[int, Any]]
    faults: Sequence[Fault]


def _schema(example: str) -> dict[str, Any]:
    bounds = {"minLength": 1, "maxLength": MOST_BYTES}
    return {"type": "string", "format": "binary", **bounds, "examples": [example]}


_ASSETS = takes(_schema("external_id,name,tags\nA-7,Truck 7,truck;tipper\n"), "text/csv")
_TRACKERS = takes(_schema("external_id,name\n356938035643809,Tracker of truck 7\n"), "text/csv")
_CHECK: dict[int | str, dict[str, Any]] = {
    200: {"model": ImportCheck, "description": "The outcome of a dry run"}
}


@router.post(
    "/assets",
    operation_id="importAssets",
    status_code=202,
    response_model=JobItem,
    responses=_CHECK,
    openapi_extra=_ASSETS,
)
async def import_assets(
    request: Request, access: Dispatcher, query: Annotated[ImportQuery, Query()]
) -> Response:
    """Import assets: a job writes the good lines. A dry run lists the faults of all lines."""
    access.check_scope("assets:write")
    file = await run_in_threadpool(_assets_in, request.state.content, datetime.now(UTC))
    if query.dry_run:
        return await _checked(access, file, judge_assets)
    return await _job(access, "import_assets", file)


@router.post(
    "/trackers",
    operation_id="importTrackers",
    status_code=202,
    response_model=JobItem,
    responses=_CHECK,
    openapi_extra=_TRACKERS,
)
async def import_trackers(
    request: Request, access: Dispatcher, query: Annotated[ImportQuery, Query()]
) -> Response:
    """Import trackers: a job writes the good lines. Rotate the secret of each before it signs in,
    since nobody has seen it. A dry run lists the faults of all lines.
    """
    access.check_scope("trackers:write")
    at = datetime.now(UTC)
    file = await run_in_threadpool(_trackers_in, request.state.content, at)
    if query.dry_run:
        return await _checked(access, file, lambda conn, lines: judge_trackers(conn, lines, at))
    return await _job(access, "import_trackers", file)


def _assets_in(content: bytes, at: datetime) -> _File:
    return _rows_of(content, NewAsset, lambda body: new_asset(body, at))


def _trackers_in(content: bytes, at: datetime) -> _File:
    def row_of(body: NewTracker) -> Tracker:
        wanted, row = wanted_assignment(body), new_tracker(body, body.external_id, at)
        if wanted is None:
            return row
        return row._replace(
            asset_id=wanted.asset_id, employee_id=wanted.employee_id, assigned_from=wanted.since
        )

    return _rows_of(content, NewTracker, row_of)


def _rows_of(content: bytes, body: type[Any], row_of: Callable[[Any], Asset | Tracker]) -> _File:
    read = read_lines(content, body)
    lines: list[tuple[int, Asset | Tracker]] = []
    faults = read.faults
    for line, each in read.bodies:
        try:
            lines.append((line, row_of(each)))
        except Problem as problem:
            faults += faults_of(line, problem)
    return _File(lines, faults)


async def _checked(
    access: Access,
    file: _File,
    judge: Callable[[Connection, Sequence[tuple[int, Any]]], Awaitable[Judged[Any]]],
) -> Response:
    async with access.transaction() as conn:
        judged = await judge(conn, file.lines)
    found = sorted([*file.faults, *judged.faults], key=lambda fault: fault.line or 0)
    check = {
        "good": len(judged.sound),
        "known": judged.known,
        "faulty": len({fault.line for fault in found}),
        "faults": [fault.members() for fault in found[:MOST_FAULTS]],
        "more_faults": len(found) > MOST_FAULTS,
    }
    return ok(check)


async def _job(access: Access, kind: JobKind, file: _File) -> Response:
    content, result = msgspec.json.encode(file.lines), add({}, Piece(faults=file.faults))
    async with access.transaction() as conn:
        new = NewJob(kind, content, total=len(file.lines), result=result)
        job = await make_job(conn, access, new)
    return accepted(job)
