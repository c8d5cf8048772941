"""Statements that are joined to one write what they would write one after the other."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from db.core.connect import Connection, pool
from db.core.ids import new_id
from db.core.joined import joined
from db.core.tenant import tenant
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

CLIENT = "INSERT INTO clients (org_id, id, name) VALUES (current_org_id(), %(id)s, %(name)s)"
SITES = "INSERT INTO sites (org_id, id, client_id, name) SELECT current_org_id(), %s, %s, %s"


@pytest_asyncio.fixture
async def conn(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """A connection of a pool, in a transaction of a new organization."""
    org_id = (await Tenant.create(database)).org_id
    async with (
        pool(database.url("opsc_app"), "joined", max_size=1) as connections,
        tenant(connections, org_id) as connection,
    ):
        yield connection


@pytest.mark.parametrize("sites", [0, 1, 3])
async def test_rows_refer_to_rows_of_the_same_statement(conn: Connection, sites: int) -> None:
    client: UUID = new_id()
    made = [(new_id(), client, f"site {number}") for number in range(sites)]
    of_client = {"id": client, "name": "100 % of %s"}
    await conn.execute(*joined((CLIENT.encode(), of_client), *((SITES, row) for row in made)))
    found = await conn.execute("SELECT name FROM clients WHERE id = %s", (client,))
    assert await found.fetchall() == [("100 % of %s",)]
    found = await conn.execute("SELECT id, client_id, name FROM sites ORDER BY name")
    assert await found.fetchall() == made
    await conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
    audited = await conn.execute(
        "SELECT resource_id FROM audit_events WHERE resource_type IN ('client', 'site')"
        " ORDER BY seq"
    )
    assert await audited.fetchall() == [(client,), *((row[0],) for row in made)]
