"""Clients: the organization's customers.

A deleted client is kept and can be restored. It is not listed, and another client may take its
`external_id`. A client that still has sites, assets or quotes, or work orders that have not ended,
cannot be deleted.
"""

from typing import Annotated

from pydantic import Field

from api.http import fields
from api.request.paging import SortedByNameQuery
from api.request.plain_resource import plain_resource
from api.request.resource import Resource, item_of
from db.resources import clients as table

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
router = plain_resource(
    _clients,
    ClientItem,
    NewClient,
    ClientChange,
    ClientQuery,
    delete="Delete a client that has no sites, assets or quotes, and no work orders that have not"
    " ended. It can be restored.",
    restore="Restore a deleted client.",
)
