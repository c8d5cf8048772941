"""Timesheets as files, for those who accept PDF or CSV; everybody else gets JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.csv_text import MEDIA_TYPE, csv_bytes
from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_print import Paper
from api.http import fields
from api.http.encoding import ok, sparse
from api.http.etags import tag_of
from api.http.headers import preferred
from api.http.problems import busy, unavailable
from api.limits.turns import TooManyOfAll, TooManyOfOne
from api.request.access import Access
from api.resources.timesheets.bodies import TimesheetItem

Form: TypeAlias = Literal["json", "pdf", "csv"]
_FORMS: Mapping[str, Form] = {
    "application/json": "json",
    "application/pdf": "pdf",
    "text/csv": "csv",
}
_MOST_CHARACTERS = 10_000_000  # more than the lines of a document or a page can take
_MEDIA_TYPES = {"pdf": "application/pdf", "csv": MEDIA_TYPE}
_CSV: dict[str, Any] = {
    "schema": {
        "type": "string",
        "maxLength": _MOST_CHARACTERS,
        "description": "RFC 4180, UTF-8, with a header line",
    },
    "example": "id,employee_id,first_day,last_day\r\n",
}
_PDF: dict[str, Any] = {
    "schema": {
        "type": "string",
        "contentMediaType": "application/pdf",
        "maxLength": _MOST_CHARACTERS,
    },
    "example": "%PDF-1.7",
}
LIST_TYPES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": _CSV}}}
FILE_TYPES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": _CSV, "application/pdf": _PDF}}
}


class ExportQuery(fields.Query):
    """The form of a PDF."""

    paper: Annotated[Paper, Field(description="of a PDF")] = "a4"


def wanted_form(request: Request) -> Form:
    """Return the form that the Accept header weighs most."""
    accept = ",".join(request.headers.getlist("accept"))
    return _FORMS[preferred(accept, list(_FORMS))]


def listed(request: Request, envelope: Mapping[str, Any]) -> Response:
    """Answer with a page: 200 with the envelope, or with a CSV of its rows.

    The next page of a CSV is in a Link header.
    """
    wanted = request.query_params.get("fields")
    if wanted_form(request) != "csv":
        return varying(ok(sparse(envelope, wanted)))
    names = wanted.split(",") if wanted else list(TimesheetItem.model_fields)
    cells = [[_cell(row[name]) for name in names] for row in envelope["data"]]
    response = _file(csv_bytes(names, cells), "csv")
    cursor = envelope["next_cursor"]
    if cursor is not None:
        following = request.url.remove_query_params("offset").include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return response


def _cell(value: Any) -> str | int | None:
    return " ".join(value) if isinstance(value, list | tuple) else value


async def exported(
    access: Access, document: TimesheetDocument, form: Literal["pdf", "csv"], paper: Paper
) -> Response:
    """Answer with a document. Raises Problem (429, 503)."""
    try:
        content = await access.state.renderer.render(access.caller.org_id, document, form, paper)
    except TooManyOfOne:
        raise busy("Too many documents of the organization at once.") from None
    except TooManyOfAll:
        raise unavailable("Too many documents at once: try again in a second.") from None
    response = _file(content, form)
    name = f"timesheet-{document.first_day}-{document.document_id}.{form}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _file(content: bytes, form: Literal["pdf", "csv"]) -> Response:
    headers = {"Content-Type": _MEDIA_TYPES[form], "ETag": tag_of(content)}
    return varying(Response(content, headers=headers))


def varying(response: Response) -> Response:
    """Return an answer that depends on the Accept header, marked as such."""
    response.headers["Vary"] = "Accept"
    return response
