"""Lists: the envelope that all of them have, and the page that is asked for.

`limit` and `offset`, or `limit` and `cursor`. The total is counted when a walk begins and carried
in its cursor: it says how many rows there were then, and costs nothing on the pages that follow.
With `total=none` it is neither counted nor shown. A page that would be too large ends early
(`db.core.listing`), and its cursor goes on from there.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, NamedTuple, Self, TypeVar, get_args

import msgspec
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.cursors import MAX_CURSOR_CHARACTERS, CursorPosition
from api.http.encoding import ok_list, sparse
from api.http.fields import DIGITS  # `fields` is a field of `ListQuery`
from api.http.problems import bad_parameter
from api.request.access import Access
from db.core.connect import Connection
from db.core.listing import NEWEST_FIRST, Listable, ListKey, Order, PageRows

MAX_ROWS = 1_000  # of a page
MAX_OFFSET = 10_000  # the rows before it are read, too
MAX_COUNTED = 1_000_000  # counting a longer list would take longer than reading a page of it

_CURSOR = "^[A-Za-z0-9_-]+$"
_TOO_SPARSE = (
    "Few of the rows that were looked at are of this page: walk by cursor instead of offset."
)
# Who counts on by limit would leave rows out.
_TOO_LARGE = (
    "There is no room for {limit} rows as large as these on a page: ask for {rows} at most, or walk"
    " by cursor instead of offset."
)
_KEY = TypeVar("_KEY", bound=tuple[Any, ...])
_ROW = TypeVar("_ROW")
_LIST_KEY = TypeVar("_LIST_KEY", bound=ListKey)
_FILTERS = TypeVar("_FILTERS")
_ITEM = TypeVar("_ITEM", bound=BaseModel)


class ListOf(BaseModel, Generic[_ITEM]):
    """The envelope of every list."""

    data: list[_ITEM] = Field(max_length=MAX_ROWS)
    total: fields.Count
    total_is_estimate: bool = Field(description="true: there are at least as many")
    limit: int = Field(
        ge=1,
        le=MAX_ROWS,
        description="as asked for; of a page that ended early, because its rows are large, the"
        " number of its rows",
        examples=[50],
    )
    offset: fields.Count = Field(examples=[0])
    next_cursor: Annotated[str, fields.text(MAX_CURSOR_CHARACTERS, "aGVyZQ", _CURSOR)] | None


def _near(offset: int) -> int:
    """Raise ValueError for an offset that is too large."""
    if offset > MAX_OFFSET:
        raise ValueError(
            f"must be {MAX_OFFSET:,} at most: to read further, repeat the request with"
            " cursor=<next_cursor> instead of offset"
        )
    return offset


class ListQuery(fields.Query):
    """The query of every list."""

    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, description="rows of a page"), DIGITS] = 50
    offset: Annotated[
        int,
        Field(
            ge=0,
            description="rows to leave out. Further on, walk by cursor: the server would read them"
            " all",
            json_schema_extra={"maximum": MAX_OFFSET},
        ),
        AfterValidator(_near),
        DIGITS,
    ] = 0
    cursor: Annotated[
        str | None,
        Field(
            max_length=MAX_CURSOR_CHARACTERS,
            description="next_cursor of the page before",
            json_schema_extra={"pattern": _CURSOR},
        ),
    ] = None

    fields: Annotated[
        str | None,
        Field(
            max_length=500,
            pattern="^[a-z0-9_]+(,[a-z0-9_]+)*$",
            description="only these fields of each row, with commas. Rows then lack what their"
            " schema requires: read them as plain JSON, not by a model of the whole row",
            examples=["id"],
        ),
    ] = None

    total: Annotated[
        Literal["none"] | None,
        Field(
            description="none: count nothing. The page then has no `total` and no"
            " `total_is_estimate`, though its schema requires them",
            examples=["none"],
        ),
    ] = None

    @property
    def order(self) -> Order:
        """The order of the rows: the newest first, unless the list can be sorted."""
        return NEWEST_FIRST

    def filters(self) -> dict[str, Any]:
        """Return the parameters without those of the page and of what is shown of it."""
        return self.model_dump(mode="json", exclude={*ListQuery.model_fields})

    def wanted(self) -> dict[str, Any]:
        """Return the filters that are given, by name."""
        return given_filters(self)


def given_filters(query: fields.Query) -> dict[str, Any]:
    """Return the parameters that are given, by name, without those of a page and of what is shown
    of it.
    """
    shown = {*ListQuery.model_fields, "sort", "include", "spreadsheet"}
    return {
        name: value
        for name in type(query).model_fields
        if name not in shown and (value := getattr(query, name)) is not None
    }


class SortedQuery(ListQuery):
    """The query of lists that can be sorted by when their rows were made."""

    sort: Annotated[
        Literal["-created_at", "created_at"], Field(description="-: the last ones first")
    ] = "-created_at"

    @property
    def order(self) -> Order:
        return order_of(self.sort)


class SortedByNameQuery(ListQuery):
    """The query of lists that can be sorted by name too."""

    sort: Annotated[
        Literal["-created_at", "created_at", "name", "-name"],
        Field(description="-: the last ones first"),
    ] = "-created_at"

    @property
    def order(self) -> Order:
        return order_of(self.sort)


def order_of(sort: str) -> Order:
    """Return a `sort` by name, or by the time of the list."""
    return Order("name" if sort.endswith("name") else "time", sort.startswith("-"))


def fields_of(model: object) -> frozenset[str] | None:
    """Return the fields that a row of a list may have; None where `model` is none of a list."""
    if not (isinstance(model, type) and issubclass(model, ListOf)):
        return None
    (item,) = get_args(model.model_fields["data"].annotation)
    return frozenset(item.model_fields)


@dataclass(frozen=True, slots=True)
class Total:
    """The number of rows; an estimate is a lower bound."""

    rows: int
    is_estimate: bool = False

    @classmethod
    def counted(cls, rows: int, most: int) -> Self:
        """Return the total of a count that ended at `most` + 1."""
        return cls(min(rows, most), rows > most)


_NOT_COUNTED = Total(-1)


class Envelope(NamedTuple):
    """A list as it is answered. rows: the JSON of each, made when it is taken. others: the members
    beside them.
    """

    rows: Iterable[Mapping[str, Any]]
    others: Mapping[str, Any]

    async def answer(self, fields: str | None) -> Response:
        """Answer 200. fields: the only ones that rows have."""
        return await ok_list(sparse(self.rows, fields), self.others)


class Page(Generic[_KEY]):
    """One page of one list.

    `after`, `fetch_limit` and `fetch_offset` are what to read: one row more than is shown tells
    whether another page follows. `total` is what is known of it: None where it is to be counted.
    """

    def __init__(
        self,
        access: Access,
        query: ListQuery,
        list_name: str,
        key_type: type[_KEY],
    ) -> None:
        if query.cursor is not None and "offset" in query.model_fields_set:
            raise bad_parameter("cursor", "cursor and offset cannot be used together.")
        self._cursors = access.state.cursors
        self._scope = _scope(access, query, list_name)
        self._is_by_offset = "offset" in query.model_fields_set
        self._limit = query.limit
        self._fields = query.fields
        position = (
            None
            if query.cursor is None
            else self._cursors.read(query.cursor, self._scope, key_type)
        )
        self.after = None if position is None else position.key
        self.total: Total | None = None
        self._has_total = query.total is None
        if not self._has_total:
            self.total = _NOT_COUNTED
        elif position is not None and position.total >= 0:
            self.total = Total(position.total, position.total_is_estimate)
        self.fetch_limit = query.limit + 1
        self.fetch_offset = query.offset if position is None else 0
        self._offset = query.offset if position is None else position.offset

    async def read(
        self: "Page[_LIST_KEY]",
        conn: Connection,
        source: Listable[_FILTERS, _ROW],
        wanted: _FILTERS,
        order: Order = NEWEST_FIRST,
    ) -> tuple[PageRows[_ROW], Total]:
        """Return the rows of the page, and the total, which is counted if no cursor has it. The
        total is exact where the database keeps it.
        """
        total = self.total
        if total is None:
            rows = await source.count(conn, wanted, MAX_COUNTED + 1)
            total = Total(rows) if source.keeps_count(wanted) else Total.counted(rows, MAX_COUNTED)
        found = await source.listing(
            conn,
            wanted,
            order=order,
            after=self.after,
            limit=self.fetch_limit,
            offset=self.fetch_offset,
        )
        return found, total

    async def counted(
        self,
        conn: Connection,
        count: Callable[[Connection, _FILTERS, int], Awaitable[int]],
        wanted: _FILTERS,
        most: int | None = None,
    ) -> Total:
        """Return the total, which `count` counts if no cursor has it, up to `most` or
        MAX_COUNTED.
        """
        most = most or MAX_COUNTED
        return self.total or Total.counted(await count(conn, wanted, most + 1), most)

    async def response(
        self,
        rows: Sequence[_ROW],
        total: Total,
        *,
        key: Callable[[_ROW], _KEY],
        item: Callable[[_ROW], Mapping[str, Any]],
    ) -> Response:
        """Answer 200 with the envelope."""
        return await self.envelope(rows, total, key=key, item=item).answer(self._fields)

    def cursor(self, key: tuple[Any, ...], shown: int, total: Total = _NOT_COUNTED) -> str:
        """Return what goes on behind a row. shown: rows up to there, with it."""
        position = CursorPosition(key, self._offset + shown, total.rows, total.is_estimate)
        return self._cursors.write(position, self._scope)

    def envelope(
        self,
        rows: Sequence[_ROW],
        total: Total,
        *,
        key: Callable[[_ROW], _KEY],
        item: Callable[[_ROW], Mapping[str, Any]],
    ) -> Envelope:
        """Return what a list answers, around what was read. Raises Problem (400) where the rows
        were too large for a page that began at an offset.
        """
        shown = rows[: self._limit]
        is_cut = isinstance(rows, PageRows) and rows.is_cut
        ends_early = is_cut and len(rows) < self._limit
        goes_on_behind = rows.goes_on_behind if isinstance(rows, PageRows) else None
        if ends_early and self._is_by_offset:
            if goes_on_behind is not None:
                raise bad_parameter("offset", _TOO_SPARSE)
            raise bad_parameter("limit", _TOO_LARGE.format(limit=self._limit, rows=len(rows)))
        next_cursor = None
        if is_cut or len(rows) > len(shown):
            next_cursor = self.cursor(goes_on_behind or key(shown[-1]), len(shown), total)
        others: dict[str, Any] = {}
        if self._has_total:
            others |= {"total": total.rows, "total_is_estimate": total.is_estimate}
        others |= {
            "limit": len(shown) if ends_early and goes_on_behind is None else self._limit,
            "offset": self._offset,
            "next_cursor": next_cursor,
        }
        return Envelope(map(item, shown), others)


def _scope(access: Access, query: ListQuery, list_name: str) -> bytes:
    """Return everything that a cursor is bound to."""
    return msgspec.msgpack.encode(
        [access.caller.org_id.bytes, list_name, sorted(query.filters().items())]
    )
