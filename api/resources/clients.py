"""Clients: whom the organization works for.

A client that is deleted is kept: it is not listed any more, its ids are free for others, and it can
be restored. One that still has sites or assets cannot be deleted.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, no_content, ok, optional_time_text, time_text
from api.http.problems import conflict, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, Page, SortedByNameQuery, Total
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import instant
from db.resources.clients import Client, ClientFilter, clients, is_in_use

router = APIRouter(prefix="/v1/clients", tags=["clients"], route_class=TenantRoute)
_ClientPath = Annotated[fields.ClientId, Path(alias="id")]
_Name = Annotated[fields.Name, Field(examples=["Keller Civil Works"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["C-1042"])]


class ClientItem(BaseModel):
    """A client."""

    id: fields.ClientId
    name: _Name
    external_id: _ExternalId | None = Field(description="the organization's own id of it, unique")
    email: fields.Email | None
    phone: fields.Phone | None
    address: fields.Address | None
    notes: fields.Notes | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class NewClient(fields.Body):
    """A new client."""

    name: _Name
    external_id: _ExternalId | None = None
    email: fields.Email | None = None
    phone: fields.Phone | None = None
    address: fields.Address | None = None
    notes: fields.Notes | None = None


class ClientChange(fields.Body):
    """The fields to change."""

    name: _Name = Field(default_factory=fields.absent)
    external_id: _ExternalId | None = None
    email: fields.Email | None = None
    phone: fields.Phone | None = None
    address: fields.Address | None = None
    notes: fields.Notes | None = None


class ClientQuery(SortedByNameQuery):
    """The filters of clients."""

    external_id: _ExternalId | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


@router.get("", operation_id="listClients", response_model=ListOf[ClientItem])
async def list_clients(access: Reader, query: Annotated[ClientQuery, Query()]) -> Response:
    """List clients, newest first."""
    page = Page(access, query, "clients", query.order.key_type)
    wanted = ClientFilter(query.external_id, query.q, query.deleted)
    async with access.transaction() as conn:
        total = page.total or Total(await clients.count(conn, wanted.conditions()))
        rows = await clients.listing(
            conn,
            wanted.conditions(),
            order=query.order,
            after=page.after,
            limit=page.fetch_limit,
            offset=page.fetch_offset,
        )
    return page.response(rows, total, key=query.order.key, item=_item)


@router.post("", operation_id="createClient", status_code=201, response_model=ClientItem)
async def create_client(access: Dispatcher, body: Annotated[NewClient, Body()]) -> Response:
    """Create a client."""
    async with access.transaction() as conn:
        at = await instant(conn)
        client = Client(id=new_id(), **dict(body), created_at=at, updated_at=at, deleted_at=None)
        await clients.insert(conn, client)
    return created(_item(client), router.prefix)


@router.get("/{id}", operation_id="getClient", response_model=ClientItem)
async def get_client(access: Reader, client_id: _ClientPath) -> Response:
    """Return one client."""
    async with access.transaction() as conn:
        return ok(_item(await _found(conn, client_id)))


@router.patch("/{id}", operation_id="updateClient", response_model=ClientItem)
async def update_client(
    access: Dispatcher, client_id: _ClientPath, body: Annotated[ClientChange, Body()]
) -> Response:
    """Change the fields that are given."""
    async with access.transaction() as conn:
        client = await _found(conn, client_id, lock=True)
        access.check_unchanged(_item(client))
        changed = client._replace(**body.given())
        if changed != client:
            changed = changed._replace(updated_at=await instant(conn))
            await clients.update(conn, changed)
    return ok(_item(changed))


@router.delete("/{id}", operation_id="deleteClient", status_code=204)
async def delete_client(access: Dispatcher, client_id: _ClientPath) -> Response:
    """Delete a client that has no sites and no assets. It can be restored."""
    async with access.transaction() as conn:
        client = await _found(conn, client_id, lock=True)
        access.check_unchanged(_item(client))
        if await is_in_use(conn, client_id):
            raise conflict("in_use", "The client has sites or assets.")
        at = await instant(conn)
        await clients.update(conn, client._replace(updated_at=at, deleted_at=at))
    return no_content()


@router.post("/{id}/restore", operation_id="restoreClient", response_model=ClientItem)
async def restore_client(access: Dispatcher, client_id: _ClientPath) -> Response:
    """Restore a deleted client."""
    async with access.transaction() as conn:
        client = await _found(conn, client_id, lock=True, deleted=True)
        access.check_unchanged(_item(client))
        if client.deleted_at is not None:
            client = client._replace(updated_at=await instant(conn), deleted_at=None)
            await clients.update(conn, client)
    return ok(_item(client))


async def _found(
    conn: Connection, client_id: UUID, *, lock: bool = False, deleted: bool = False
) -> Client:
    """Find a client. `deleted`: also find soft-deleted clients."""
    client = await clients.find(conn, client_id, lock=lock)
    if client is None or (client.deleted_at is not None and not deleted):
        raise not_found("client")
    return client


def _item(client: Client) -> dict[str, Any]:
    return {
        "id": id_text("cli", client.id),
        "name": client.name,
        "external_id": client.external_id,
        "email": client.email,
        "phone": client.phone,
        "address": client.address,
        "notes": client.notes,
        "created_at": time_text(client.created_at),
        "updated_at": time_text(client.updated_at),
        "deleted_at": optional_time_text(client.deleted_at),
    }
