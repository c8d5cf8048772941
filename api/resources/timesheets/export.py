"""Timesheets as files, for those who accept PDF or CSV; everybody else gets JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.csv_text import MEDIA_TYPE, csv_bytes, for_reader
from api.documents.letterhead import Letterhead
from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_print import Paper
from api.http import fields
from api.request.access import Access
from api.request.document_answers import (
    MOST_CHARACTERS,
    PDF_CONTENT,
    file_answer,
    rendered,
    varying,
    wanted,
)
from api.request.paging import Envelope
from api.resources.timesheets.bodies import Spreadsheet, TimesheetItem

Form: TypeAlias = Literal["json", "pdf", "csv"]
_FORMS: Mapping[str, Form] = {
    "application/json": "json",
    "application/pdf": "pdf",
    "text/csv": "csv",
}
_MEDIA_TYPES = {"pdf": "application/pdf", "csv": MEDIA_TYPE}
_CSV: dict[str, Any] = {
    "schema": {
        "type": "string",
        "maxLength": MOST_CHARACTERS,
        "description": "RFC 4180, UTF-8, with a header line",
    },
    "example": "id,employee_id,first_day,last_day\r\n",
}
LIST_TYPES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": _CSV}}}
FILE_TYPES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": _CSV, "application/pdf": PDF_CONTENT}}
}


class ExportQuery(fields.Query):
    """The form of a PDF or a CSV."""

    paper: Annotated[Paper, Field(description="of a PDF")] = "a4"
    spreadsheet: Spreadsheet = False


def wanted_form(request: Request) -> Form:
    """Return the form that the Accept header weighs most."""
    return wanted(request, _FORMS)


async def listed(request: Request, envelope: Envelope, *, spreadsheet: bool) -> Response:
    """Answer with a page: 200 with the envelope, or with a CSV of its rows.

    The next page of a CSV is in a Link header.
    """
    chosen = request.query_params.get("fields")
    if wanted_form(request) != "csv":
        return varying(await envelope.answer(chosen))
    names = chosen.split(",") if chosen else list(TimesheetItem.model_fields)
    cells = [[_cell(row[name]) for name in names] for row in envelope.rows]
    content = for_reader(csv_bytes(names, cells), spreadsheet=spreadsheet)
    response = file_answer(content, MEDIA_TYPE)
    cursor = envelope.others["next_cursor"]
    if cursor is not None:
        following = request.url.remove_query_params("offset").include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return response


def _cell(value: Any) -> str | int | None:
    return " ".join(value) if isinstance(value, list | tuple) else value


async def exported(
    access: Access,
    document: TimesheetDocument,
    form: Literal["pdf", "csv"],
    query: ExportQuery,
    letterhead: Letterhead,
) -> Response:
    """Answer with a document. Raises Problem (429, 503)."""
    org_id = access.caller.org_id
    rendering = access.state.renderer.render(org_id, document, form, query.paper, letterhead)
    name = f"timesheet-{document.first_day}-{document.document_id}.{form}"
    content = await rendered(rendering)
    if form == "csv":
        content = for_reader(content, spreadsheet=query.spreadsheet)
    return file_answer(content, _MEDIA_TYPES[form], name)
