"""Clients: the organization's customers.

A deleted client is kept and can be restored. It is not listed, and another client may take its
`external_id`. A client that still has sites, assets or quotes, or work orders that have not ended,
cannot be deleted.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, SortedByNameQuery
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from db.resources import clients as table

router = APIRouter(prefix="/v1/clients", tags=["clients"], route_class=TenantRoute)
_ClientPath = Annotated[fields.ClientId, Path(alias="id")]
_Name = Annotated[fields.Name, Field(examples=["Keller Civil Works"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["C-1042"])]


class ClientItem(fields.StoredItem):
    """A client."""

    id: fields.ClientId
    name: _Name
    external_id: _ExternalId | None = Field(description="the organization's own id of it, unique")
    email: fields.Email | None
    phone: fields.Phone | None
    address: fields.Address | None
    notes: fields.Notes | None


class NewClient(fields.Body):
    """A new client."""

    name: _Name
    external_id: _ExternalId | None = None
    email: fields.Email | None = None
    phone: fields.Phone | None = None
    address: fields.Address | None = None
    notes: fields.Notes | None = None


class ClientChange(NewClient):
    """The fields to change."""

    name: _Name = Field(default_factory=fields.absent)


class ClientQuery(SortedByNameQuery):
    """The filters of clients."""

    external_id: _ExternalId | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


_clients = Resource(
    table.clients,
    item_of(ClientItem),
    is_in_use=table.is_in_use,
    in_use="The client has sites, assets or quotes, or work orders that have not ended.",
)


@router.get("", operation_id="listClients", response_model=ListOf[ClientItem])
async def list_clients(access: Reader, query: Annotated[ClientQuery, Query()]) -> Response:
    """List clients, newest first."""
    return await _clients.list(access, query)


@router.post("", operation_id="createClient", status_code=201, response_model=ClientItem)
async def create_client(access: Dispatcher, body: Annotated[NewClient, Body()]) -> Response:
    """Create a client."""
    return await _clients.create(access, body)


@router.get("/{id}", operation_id="getClient", response_model=ClientItem)
async def get_client(access: Reader, client_id: _ClientPath) -> Response:
    """Return one client."""
    return await _clients.get(access, client_id)


@router.patch("/{id}", operation_id="updateClient", response_model=ClientItem)
async def update_client(
    access: Dispatcher, client_id: _ClientPath, body: Annotated[ClientChange, Body()]
) -> Response:
    """Change the fields that are given."""
    return await _clients.update(access, client_id, body)


@router.delete("/{id}", operation_id="deleteClient", status_code=204)
async def delete_client(access: Dispatcher, client_id: _ClientPath) -> Response:
    """Delete a client that has no sites, assets or quotes, and no work orders that have not ended.
    It can be restored.
    """
    return await _clients.delete(access, client_id)


@router.post("/{id}/restore", operation_id="restoreClient", response_model=ClientItem)
async def restore_client(access: Dispatcher, client_id: _ClientPath) -> Response:
    """Restore a deleted client."""
    return await _clients.restore(access, client_id)
