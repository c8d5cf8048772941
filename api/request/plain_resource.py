"""Resources of which nothing but the fields is their own: the row says them once.

    class Client(NamedTuple):
        "A client."

        id: fields.ClientId
        name: fields.Name
        phone: fields.Phone | None
        created_at: datetime
        updated_at: datetime
        deleted_at: datetime | None

    clients = Table("clients", Client, has_row_count=True)
    ClientItem = item_model(Client)
    router = plain_resource(
        Resource(clients, item_of(ClientItem)),
        ClientItem,
        filters=["phone"],
        delete="Delete a client. It can be restored.",
        restore="Restore a deleted client.",
    )

Where bodies have more to say, they are written out, and `plain_routes` makes those of the six
routes that are plain (`api/resources/stock/parts.py`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field, create_model
from starlette.responses import Response

from api.http import fields
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, ListQuery, SortedByNameQuery
from api.request.resource import Resource
from api.request.route import TenantRoute
from db.core.table import Row

_MODEL = TypeVar("_MODEL", bound=BaseModel)
_TIMES = frozenset(fields.StoredItem.model_fields)
_LAST_FILTERS: Mapping[str, Any] = {
    "q": (fields.NamePrefix | None, None),
    "deleted": (Annotated[bool, Field(description="those that are deleted, instead")], False),
}


def item_model(row: type[Row]) -> type[fields.StoredItem]:
    """Return the model of answers about a row: all of its fields."""
    shown = {name: (kind, ...) for name, kind in row.__annotations__.items() if name not in _TIMES}
    return _model(f"{row.__name__}Item", fields.StoredItem, row.__doc__, shown)


def plain_resource(
    resource: Resource[Any],
    item: type[fields.StoredItem],
    *,
    delete: str,
    restore: str,
    new: str = "",
    filters: Sequence[str] = (),
) -> APIRouter:
    """Return the six routes of a resource, with bodies that follow from its row.

    A new row may lack what may be null, and a change everything. filters: the fields that lists are
    filtered by, beside `q` and `deleted`. delete, restore, new: what the documentation says of
    these routes, and of the body of a new row where that is more than its kind.
    """
    name, kinds = resource.table.row.__name__, resource.table.row.__annotations__
    # Descriptions are of what is shown.
    optional, needed = Field(default=None, description=None), Field(description=None)
    absent = Field(default_factory=fields.absent, description=None)
    given: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    for each in [each for each in kinds if each not in {"id", *_TIMES}]:
        may_be_null = NoneType in get_args(item.model_fields[each].annotation)
        given[each] = kinds[each], optional if may_be_null else needed
        changed[each] = kinds[each], optional if may_be_null else absent
    wanted = {each: (kinds[each], optional) for each in filters}
    return plain_routes(
        resource,
        item,
        _model(f"{name}Query", SortedByNameQuery, None, {**wanted, **_LAST_FILTERS}),
        new=_model(f"New{name}", fields.Body, new or f"A new {resource.kind.noun}.", given),
        change=_model(f"{name}Change", fields.Body, "The fields to change.", changed),
        delete=delete,
        restore=restore,
    )


def _model(
    name: str, base: type[_MODEL], said: str | None, named: Mapping[str, Any]
) -> type[_MODEL]:
    return create_model(name, __base__=base, __doc__=said, **named)


def plain_routes(
    resource: Resource[Any],
    item: type[BaseModel],
    query: type[ListQuery],
    *,
    new: type[fields.Body] | None = None,
    change: type[fields.Body] | None = None,
    delete: str = "",
    restore: str = "",
) -> APIRouter:
    """Return the routes of a resource: its list, one thing, and those for which something is given;
    a resource writes out what else it has. new, change: the bodies. delete, restore: as those of
    `plain_resource`.
    """
    kind, plural = resource.kind, resource.table.name
    path = f"/v1/{plural.replace('_', '-')}"
    router = APIRouter(prefix=path, tags=[path.removeprefix("/v1/")], route_class=TenantRoute)
    row_path = Annotated[item.__annotations__["id"], Path(alias="id")]

    async def list_rows(access: Reader, query: Any) -> Response:
        return await resource.list(access, query)

    async def create_row(access: Dispatcher, body: Any) -> Response:
        return await resource.create(access, body)

    async def get_row(access: Reader, row_id: UUID) -> Response:
        return await resource.get(access, row_id)

    async def update_row(access: Dispatcher, row_id: UUID, body: Any) -> Response:
        return await resource.update(access, row_id, body)

    async def delete_row(access: Dispatcher, row_id: UUID) -> Response:
        return await resource.delete(access, row_id)

    async def restore_row(access: Dispatcher, row_id: UUID) -> Response:
        return await resource.restore(access, row_id)

    def add(
        method: str,
        path: str,
        handler: Callable[..., Awaitable[Response]],
        said: str,
        status: int = 200,
        **parameters: Any,
    ) -> None:
        verb = handler.__name__.partition("_")[0]
        name = plural if verb == "list" else kind.name
        shown = {"list": ListOf[item], "delete": None}.get(verb, item)
        handler.__annotations__.update(parameters)
        router.add_api_route(
            path,
            handler,
            methods=[method],
            operation_id=verb + "".join(map(str.capitalize, name.split("_"))),
            summary=f"{verb} {name}".replace("_", " ").title(),
            description=said,
            status_code=status,
            response_model=shown,
        )

    many, one = plural.replace("_", " "), kind.one
    add("GET", "", list_rows, f"List {many}, newest first.", query=Annotated[query, Query()])
    if new is not None:
        add("POST", "", create_row, f"Create {one}.", 201, body=Annotated[new, Body()])
    add("GET", "/{id}", get_row, f"Return one {kind.noun}.", row_id=row_path)
    if change is not None:
        body, said = Annotated[change, Body()], "Change the fields that are given."
        add("PATCH", "/{id}", update_row, said, row_id=row_path, body=body)
    if delete:
        add("DELETE", "/{id}", delete_row, delete, 204, row_id=row_path)
    if restore:
        add("POST", "/{id}/restore", restore_row, restore, row_id=row_path)
    return router
