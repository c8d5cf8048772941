"""Lists as files: all rows that match, in a stream.

The rows are read a page at a time, each in a short transaction, so that a file of any length holds
neither a connection nor memory. A client that takes too long to read a page is cut off. An
organization has two files under way at most.

What a request cannot wait for is written by a job (`api.resources.export_jobs`).

Lines of NDJSON and CSV may have cursors, with which a file that was cut off is gone on with. Other
forms have a head and an end, and columns in groups: half of one is no file.
"""

import asyncio
from asyncio import Transport
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any, Generic, Self, TypeAlias, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.documents.file_forms import CSV, NDJSON, Form, Kind, Row, Shape
from api.http.encoding import sparse
from api.http.problems import bad_parameter
from api.http.server import EXTENSION
from api.limits.turns import refusing_when_full
from api.request import document_answers
from api.request.access import Access
from api.request.paging import ListQuery, Page
from archive.reading import Archive, Transactions

PAGE_ROWS = 1_000
READ_ROWS = 5_000  # of fixes at once: of an archived day all is looked through for each reading
LEAST_PACE_S = 30.0  # in which a page has to be read

Pages: TypeAlias = AsyncIterator[Sequence[Row]]
_KEY = TypeVar("_KEY", bound=tuple[Any, ...])
_QUERY = TypeVar("_QUERY", bound="FileQuery")

_FILE = {
    "type": "string",
    "maxLength": 1_000_000_000_000,  # no bound is checked: each row is one of the list
    "description": "all that match, the oldest first",
}
OF_PAGES = ("limit", "offset", "cursor", "total")
_KINDS: Mapping[type, Kind] = {
    datetime: "time",
    date: "day",
    float: "float",
    int: "int",
    bool: "bool",
    dict: "json",
    list: "json",
}


@dataclass(frozen=True, slots=True)
class Asker:
    """What a list is read with. hides_people_from: the user who does not see other people's fixes;
    None: all are seen. read_rows: of fixes at once; other requests wait meanwhile.
    """

    transaction: Transactions
    archive: Archive
    hides_people_from: UUID | None = None
    read_rows: int = READ_ROWS

    @classmethod
    def of(cls, access: Access) -> Self:
        hidden = None if access.sees_all else access.caller.user_id
        return cls(access.transaction, access.state.archive, hidden)


class FileQuery(ListQuery):
    """The query of a list that is a file, too, with which a client may go on."""

    cursors: Annotated[
        bool,
        Field(
            description="of NDJSON and CSV: each row has `cursor`, too, for `cursor=` of the same"
            " question to go on behind it"
        ),
    ] = False

    def filters(self) -> dict[str, Any]:
        filters = super().filters()
        del filters["cursors"]
        return filters


def file_types(forms: Mapping[str, Form]) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a list that is served in these forms, too."""
    return {
        200: {"content": {name: {"schema": _FILE} for name in forms}},
        406: {"description": "an export that there is not"},
    }


def columns_of(model: type[BaseModel]) -> dict[str, Kind]:
    """Return the kinds of the columns of a file, from the model of a row."""
    return {name: _kind(field.annotation) for name, field in model.model_fields.items()}


def _kind(annotation: Any) -> Kind:
    """Return the kind of a type, which may be optional."""
    for each in (annotation, *get_args(annotation)):
        origin = getattr(each, "__origin__", each)  # of list[...] and Annotated[...]
        if origin in _KINDS:
            return _KINDS[origin]
    return "text"


def wanted_form(request: Request, forms: Mapping[str, Form]) -> Form | None:
    """Return the form that the Accept header weighs most; None: JSON. Raises Problem (406)."""
    choices: dict[str, Form | None] = {"application/json": None, **forms}
    document_answers.check_acceptable(request, list(choices))
    return document_answers.wanted(request, choices)


def shape_wanted(query: ListQuery, shape: Shape, form: Form) -> Shape:
    """Return the shape with the columns that are asked for. Raises Problem (400) for parameters of
    pages, and where the form needs a column that is left out.
    """
    has_cursors = isinstance(query, FileQuery) and form in (CSV, NDJSON)
    for name in (*OF_PAGES, "cursors"):
        if name in query.model_fields_set and not (has_cursors and name in ("cursor", "cursors")):
            raise bad_parameter(name, _no_pages(query, name))
    columns = shape.columns
    if query.fields is not None:
        names = dict.fromkeys(query.fields.split(","))
        missing = [name for name in form.needed(shape) if name not in names]
        if missing:
            raise bad_parameter("fields", f"This form of file needs {missing[0]}.")
        columns = {name: columns[name] for name in names}
    if isinstance(query, FileQuery) and query.cursors:
        columns = {**columns, "cursor": "text"}
    return replace(shape, columns=columns)


def _no_pages(query: ListQuery, name: str) -> str:
    if name in ("cursor", "cursors") and isinstance(query, FileQuery):
        return f"Only CSV and NDJSON can be gone on with, line by line: leave out {name}."
    return f"A file has no pages: leave out {name}."


def in_order_of_file(query: _QUERY) -> _QUERY:
    """Return the query with the order of a file: the oldest first, unless `sort` is given."""
    asked: Any = query  # of a list that can be sorted
    if "sort" in query.model_fields_set:
        return query
    return query.model_copy(update={"sort": asked.sort.removeprefix("-")})


class Place(Generic[_KEY]):
    """Where a file begins: behind `after`, and with None at the beginning. page: that of a request,
    whose rows may have cursors.
    """

    def __init__(self, page: Page[_KEY] | None = None, *, has_cursors: bool = False) -> None:
        self.after = None if page is None else page.after
        self._page, self._rows = page if has_cursors else None, 0

    @classmethod
    def of(
        cls, access: Access, query: FileQuery, list_name: str, key_type: type[_KEY]
    ) -> "Place[_KEY]":
        """Raise Problem (400) for a cursor of another question. query: in the order of the file."""
        page = Page(access, query, list_name, key_type)
        return Place(page, has_cursors=query.cursors)

    def row(self, key: _KEY, item: Row) -> Row:
        """Return a row as the file has it."""
        if self._page is None:
            return item
        self._rows += 1
        return {**item, "cursor": self._page.cursor(key, self._rows)}


class Export(StreamingResponse):
    """The file. Its turn ends with it."""

    def __init__(
        self,
        form: Form,
        name: str,
        content: AsyncIterator[bytes],
        turn: AsyncExitStack,
        transport: Transport,
        *,
        goes_on: bool,
    ) -> None:
        media_type = form.media_type
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}.{form.extension}"',
            "Content-Type": media_type.replace("present", "absent") if goes_on else media_type,
            "Vary": "Accept",
        }
        super().__init__(content, headers=headers)
        self._turn, self._transport = turn, transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(LEAST_PACE_S):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except TimeoutError:
            self._transport.abort()
            await asyncio.sleep(0)  # it is closed now, and the end of the answer goes nowhere
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._turn.aclose()


async def exported(
    request: Request,
    access: Access,
    name: str,
    form: Form,
    pages: Pages,
    shape: Shape,
    *,
    goes_on: bool = False,
) -> Export:
    """Answer with all rows of the pages. name: of the file. goes_on: without the head, behind rows
    of before. Raises Problem (429, 503).
    """
    turn = AsyncExitStack()
    with refusing_when_full("exports"):
        await turn.enter_async_context(access.state.export_turns.turn(access.caller.org_id))
    transport = request.scope["extensions"][EXTENSION]
    content = _content(form, pages, shape, goes_on=goes_on)
    return Export(form, name, content, turn, transport, goes_on=goes_on)


async def _content(
    form: Form, pages: Pages, shape: Shape, *, goes_on: bool
) -> AsyncIterator[bytes]:
    writer = form.rest(shape) if goes_on else form.writer(shape)
    names = ",".join(shape.columns)
    async for rows in pages:
        content = await asyncio.to_thread(writer.page, list(sparse(rows, names)))
        if content:
            yield content
    yield await asyncio.to_thread(writer.end)
