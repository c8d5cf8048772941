"""Resources of which nothing but the fields is their own: the six routes that they all have.

    router = plain_resource(
        Resource(clients, item_of(ClientItem)), ClientItem, NewClient, ClientChange, ClientQuery,
        delete="Delete a client without sites. It can be restored.",
        restore="Restore a deleted client.",
    )

What needs a route of another kind writes its routes out (`api/resources/assets/routes.py`).
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from api.http import fields
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, ListQuery
from api.request.resource import Resource
from api.request.route import TenantRoute


def plain_resource(
    resource: Resource[Any],
    item: type[fields.StoredItem],
    new: type[fields.Body],
    change: type[fields.Body],
    query: type[ListQuery],
    *,
    delete: str,
    restore: str,
) -> APIRouter:
    """Return the routes of a resource. delete, restore: what the documentation says of these."""
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
    add("POST", "", create_row, f"Create {one}.", 201, body=Annotated[new, Body()])
    add("GET", "/{id}", get_row, f"Return one {kind.noun}.", row_id=row_path)
    changed = Annotated[change, Body()]
    said = "Change the fields that are given."
    add("PATCH", "/{id}", update_row, said, row_id=row_path, body=changed)
    add("DELETE", "/{id}", delete_row, delete, 204, row_id=row_path)
    add("POST", "/{id}/restore", restore_row, restore, row_id=row_path)
    return router
