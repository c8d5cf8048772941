"""Clients: the organization's customers.

A deleted client is kept and can be restored. It is not listed, and another client may take its
`external_id`. A client that still has sites, assets or quotes, or work orders that have not ended,
cannot be deleted.
"""

from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field

from api.http import fields
from api.request.plain_resource import item_model, plain_resource
from api.request.resource import Resource, item_of
from db.core.table import Table
from db.resources.in_use import named_by


class Client(NamedTuple):
    """A client."""

    id: fields.ClientId
    name: Annotated[fields.Name, Field(examples=["Keller Civil Works"])]
    external_id: Annotated[
        Annotated[fields.ExternalId, Field(examples=["C-1042"])] | None,
        Field(description="the organization's own id of it, unique"),
    ]
    email: fields.Email | None
    phone: fields.Phone | None
    address: fields.Address | None
    notes: fields.Notes | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


clients = Table("clients", Client, has_row_count=True)
ClientItem = item_model(Client)
router = plain_resource(
    Resource(
        clients,
        item_of(ClientItem),
        is_in_use=named_by("client_id", "sites", "assets", "quotes", "work_orders"),
        in_use="The client has sites, assets or quotes, or work orders that have not ended.",
    ),
    ClientItem,
    filters=["external_id"],
    delete="Delete a client that has no sites, assets or quotes, and no work orders that have not"
    " ended. It can be restored.",
    restore="Restore a deleted client.",
)
