"""The operations that resources have in common: list, create, get, update, delete, restore.

`api.request.plain_resource` has the routes of a resource without anything special. Others write
theirs out, one line each, and call these; what is special comes in by hooks, or is a handler of its
own on `locked` and `write`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, no_content, ok, time_text
from api.http.problems import conflict, not_found
from api.request.access import Access
from api.request.paging import ListQuery, Page
from api.request.references import check_filters, check_owners, check_references
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import Row, Table, db_now
from db.resources.kinds import kind_of_table
from db.resources.quotas import check_room

_ROW = TypeVar("_ROW", bound=Row)
Item: TypeAlias = dict[str, Any]


def item_of(model: type[BaseModel], **made: Callable[[Any], Any]) -> Callable[[Any], Item]:
    """Return the function that makes the JSON of a row: the required fields of `model`.

    Ids get their prefix, and times a Z. made: fields that are no column of the row, from the row.
    """
    names: list[str] = model.model_json_schema()["required"]
    read = attrgetter(*("id" if name in made else name for name in names))
    writers = {name: _writer(model.model_fields[name]) for name in names if name not in made}
    written = [(name, write) for name, write in writers.items() if write is not None]

    def item(row: Any) -> Item:
        shown = dict(zip(names, read(row), strict=True))
        for name, write in written:
            if shown[name] is not None:
                shown[name] = write(shown[name])
        for name, make in made.items():  # each has its place already
            shown[name] = make(row)
        return shown

    return item


def _writer(field: FieldInfo) -> Callable[[Any], Any] | None:
    """Return the function that writes a value of a field; None where JSON has it as it is."""
    kind, parts = fields.kind_in(field), list(fields.parts_of(field))
    if kind is None:
        return time_text if datetime in parts else None
    write = partial(id_text, kind.prefix)
    if any(get_origin(part) is list for part in parts):
        return lambda ids: [write(each) for each in ids]
    return write


def _nothing(row: object) -> None:
    """Accept any row."""


class Resource(Generic[_ROW]):
    """The rows of one table, as the API makes, shows and changes them.

    item: makes the JSON of a row. item_for: returns what makes it as a caller may see it, where not
    all see the same. columns: makes the columns of the given fields of a body. check: raises
    Problem for a row that cannot be. is_in_use: whether a row cannot be deleted, with `in_use` as
    the reason. owners: kinds of things that must be there for a row to be restored. included: reads
    what an `include` adds to rows, and returns it by their ids.
    """

    def __init__(
        self,
        table: Table[_ROW],
        item: Callable[[_ROW], Item],
        *,
        item_for: Callable[[Access], Callable[[_ROW], Item]] | None = None,
        columns: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
        check: Callable[[_ROW], None] = _nothing,
        is_in_use: Callable[[Connection, UUID], Awaitable[bool]] | None = None,
        in_use: str = "",
        owners: Sequence[str] = (),
        included: Callable[[Connection, str, Sequence[_ROW]], Awaitable[Mapping[UUID, Item]]]
        | None = None,
    ) -> None:
        self.table, self.item = table, item
        self.kind = kind_of_table(table.name)
        self._name = table.name.replace("_", "-")
        self._item_for = item_for
        self._columns, self._check = columns, check
        self._is_in_use, self._in_use, self._owners = is_in_use, in_use, owners
        self._included = included

    def item_for(self, access: Access) -> Callable[[_ROW], Item]:
        """Return what makes the JSON of a row as the caller may see it."""
        return self.item if self._item_for is None else self._item_for(access)

    async def list(self, access: Access, query: ListQuery, **limits: object) -> Response:
        """Answer with a page of the rows that the query asks for. limits: filters by name, beside
        those of the query. Raises Problem (404) for an id in it that names nothing.
        """
        page = Page(access, query, self._name, query.order.key_type)
        wanted = query.wanted() | limits
        async with access.transaction() as conn:
            await check_filters(conn, query)
            rows, total = await page.read(conn, self.table, wanted, query.order)
            more = await self._more(conn, query, rows)
        shown = self.item_for(access)
        item = shown if not more else lambda row: shown(row) | more[row.id]
        return await page.response(rows, total, key=query.order.key, item=item)

    async def create(
        self,
        access: Access,
        body: fields.Body,
        *,
        once: Mapping[str, object] | None = None,
        **hidden: object,
    ) -> Response:
        """Insert a row from a body. once: what this answer alone shows. hidden: columns that are
        never shown. Raises QuotaExceeded.
        """
        async with access.transaction() as conn:
            await check_references(conn, body)
            at = await check_room(conn, self.table.name)
            row = self.new(self._columns(dict(body)), at)
            self._check(row)
            await self.table.insert(conn, row, **hidden)
        return created(self.item_for(access)(row), f"/v1/{self._name}", once=once)

    def new(self, columns: Mapping[str, Any], at: datetime) -> _ROW:
        """Return a new row, made at `at`. Columns that are not given are null."""
        names = self.table.row._fields
        times = dict.fromkeys({"created_at", "updated_at"} & set(names), at)
        values = {**dict.fromkeys(names), **columns, **times, "id": new_id()}
        return self.table.row(**values)

    async def get(
        self, access: Access, row_id: UUID, query: fields.Query | None = None
    ) -> Response:
        """Answer with one row, and what the query includes. Raises Problem (404)."""
        async with access.transaction() as conn:
            row = await self.found(conn, row_id)
            more = await self._more(conn, query, [row])
        return ok(self.item_for(access)(row) | more.get(row_id, {}))

    async def _more(
        self, conn: Connection, query: fields.Query | None, rows: Sequence[_ROW]
    ) -> Mapping[UUID, Item]:
        """Return by row what the query includes; nothing where it includes nothing."""
        include: str | None = getattr(query, "include", None)
        if self._included is None or include is None:
            return {}
        return await self._included(conn, include, rows)

    async def update(
        self,
        access: Access,
        row_id: UUID,
        body: fields.Body,
    ) -> Response:
        """Change the fields that are given. Raises Problem (404, 412, 422)."""
        async with self.locked(access, row_id) as (conn, row):
            await check_references(conn, body)
            changed = row._replace(**self._columns(body.given()))
            self._check(changed)
            if changed != row:
                changed = await self.write(conn, changed)
        return ok(self.item_for(access)(changed))

    async def delete(self, access: Access, row_id: UUID) -> Response:
        """Mark a row as deleted. Raises Problem (404, 409, 412)."""
        async with self.locked(access, row_id) as (conn, row):
            if self._is_in_use is not None and await self._is_in_use(conn, row_id):
                raise conflict("in_use", self._in_use)
            at = await db_now(conn)
            await self.write(conn, row._replace(deleted_at=at), at)
        return no_content()

    async def restore(self, access: Access, row_id: UUID) -> Response:
        """Restore a deleted row; one that is not deleted stays as it is. Raises Problem (404, 409,
        412).
        """
        async with self.locked(access, row_id, deleted=True) as (conn, row):
            if getattr(row, "deleted_at", None) is not None:
                await check_owners(conn, self.kind, row, self._owners)
                row = await self.write(conn, row._replace(deleted_at=None))
        return ok(self.item_for(access)(row))

    @asynccontextmanager
    async def locked(
        self, access: Access, row_id: UUID, *, deleted: bool = False
    ) -> AsyncIterator[tuple[Connection, _ROW]]:
        """Provide the transaction of a change, and the row, which is as the client knows it and
        stays so. deleted: also a soft-deleted row. Raises Problem (404, 412).
        """
        async with access.transaction() as conn:
            row = await self.found(conn, row_id, lock=True, deleted=deleted)
            access.check_unchanged(self.item_for(access)(row))
            yield conn, row

    async def found(
        self, conn: Connection, row_id: UUID, *, lock: bool = False, deleted: bool = False
    ) -> _ROW:
        """Find a row. deleted: also a soft-deleted row. Raises Problem (404)."""
        row = await self.table.find(conn, row_id, lock=lock)
        if row is None or (not deleted and getattr(row, "deleted_at", None) is not None):
            raise not_found(self.kind.noun)
        return row

    async def write(
        self, conn: Connection, row: _ROW, at: datetime | None = None, **hidden: object
    ) -> _ROW:
        """Write a changed row, and return it with the time of the change: `at`, or now. hidden:
        columns that are never shown.
        """
        if "updated_at" in row._fields:
            row = row._replace(updated_at=at or await db_now(conn))
        await self.table.update(conn, row, **hidden)
        return row
