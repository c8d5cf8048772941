"""Timesheets as files, for those who accept PDF or CSV; everybody else gets JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.csv_text import MEDIA_TYPE, for_reader
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
    wanted,
)

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
Spreadsheet = Annotated[
    bool, Field(description="a CSV begins with a byte order mark, by which spreadsheets know UTF-8")
]


class ExportQuery(fields.Query):
    """The form of a PDF or a CSV."""

    paper: Annotated[Paper, Field(description="of a PDF")] = "a4"
    spreadsheet: Spreadsheet = False


def wanted_form(request: Request) -> Form:
    """Return the form that the Accept header weighs most."""
    return wanted(request, _FORMS)


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
