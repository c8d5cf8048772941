"""The forms of a report: a list of rows as JSON, a file of them, a PDF.

Rows are made thing by thing. JSON and PDF have them all at once, so there are fewer of them; a file
is a stream.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import CSV, XLSX, Form, Kind, Shape, by_media_type
from api.documents.report_pdf import ReportDocument
from api.limits.turns import refusing_when_full
from api.request import document_answers
from api.request.access import Access
from api.request.document_answers import PDF_CONTENT, file_answer, rendered, varying
from api.request.paging import Page, Total
from api.resources.exports import PAGE_ROWS, exported, file_types, shape_wanted
from api.resources.organization_logo import letterhead_of
from api.resources.reports.query import ReportQuery, Window
from db.resources import organizations

Row: TypeAlias = Mapping[str, Any]
Rows: TypeAlias = AsyncIterator[Sequence[Row]]
FILE_FORMS = by_media_type(CSV, XLSX)
_FORMS: Mapping[str, Form | Literal["pdf"] | None] = {
    "application/json": None,
    **FILE_FORMS,
    "application/pdf": "pdf",
}


def _types() -> dict[int | str, dict[str, Any]]:
    types = file_types(FILE_FORMS)
    types[200]["content"]["application/pdf"] = PDF_CONTENT
    return types


TYPES = _types()


@dataclass(frozen=True, slots=True)
class Report:
    """What is asked for, and how its rows are made. drawn: the map of the PDF, made
    after the rows; b"" where there is none.
    """

    name: str
    window: Window
    columns: Mapping[str, Kind]
    rows: Callable[[], Rows]
    drawn: Callable[[], Awaitable[bytes]] | None = None


class _Key(NamedTuple):
    """The place of a row in the list."""

    number: int


def wanted_form(request: Request) -> Form | Literal["pdf"] | None:
    """Return the form that the Accept header weighs most; None: JSON. Raises Problem (406)."""
    document_answers.check_acceptable(request, list(_FORMS))
    return document_answers.wanted(request, _FORMS)


async def answered(
    request: Request,
    access: Access,
    query: ReportQuery,
    form: Form | Literal["pdf"] | None,
    report: Report,
) -> Response:
    """Answer with the report. Raises Problem (400, 409, 429, 503)."""
    if isinstance(form, Form):
        shape = replace(Shape(report.columns), zone=report.window.zone)
        shape = shape_wanted(query, shape, form)
        name = _file_name(report)
        return await exported(request, access, name, form, _in_pages(report.rows()), shape)
    page = Page(access, query, f"report-{report.name}", _Key) if form is None else None
    with refusing_when_full("reports"):
        async with access.state.report_turns.turn(access.caller.org_id):
            rows = [row async for some in report.rows() for row in some]
    if page is None:
        return await _printed(access, report, rows)
    begin = page.fetch_offset if page.after is None else page.after.number + 1
    numbers = range(len(rows))[begin : begin + page.fetch_limit]
    answer = await page.response(
        numbers, page.total or Total(len(rows)), key=_Key, item=lambda number: rows[number]
    )
    return varying(answer)


async def _in_pages(rows: Rows) -> Rows:
    """Yield rows in pages of a file."""
    gathered: list[Row] = []
    async for some in rows:
        gathered += some
        if len(gathered) >= PAGE_ROWS:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


async def _printed(access: Access, report: Report, rows: Sequence[Row]) -> Response:
    """Answer with a PDF. Raises Problem (409, 429, 503)."""
    async with access.transaction() as conn:
        organization = await organizations.find(conn)
        letterhead = await letterhead_of(conn, organization)
    window = report.window
    document = ReportDocument(
        name=report.name,
        organization=organization.name,
        letterhead=letterhead,
        zone=window.zone,
        since=window.since,
        until=window.until,
        columns=report.columns,
        rows=rows,
        drawing=b"" if report.drawn is None else await report.drawn(),
    )
    rendering = access.state.renderer.report(access.caller.org_id, document)
    content = await rendered(rendering, "Ask for a shorter time, or for CSV or XLSX.")
    return file_answer(content, "application/pdf", f"{_file_name(report)}.pdf")


def _file_name(report: Report) -> str:
    return f"report-{report.name}-{report.window.spans[0].day}"
