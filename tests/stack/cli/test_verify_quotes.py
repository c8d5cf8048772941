"""`opsc verify quotes`: sums are those of the lines; amounts that nobody confirmed are listed."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner, Result

from stack.cli.verify import verify
from telemetry.ids import format_id
from tests.db.proving import put, quote_in
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest.fixture
async def org_id(database: DatabaseUnderTest) -> UUID:
    """A new organization."""
    return (await Tenant.create(database)).org_id


async def _verify(database: DatabaseUnderTest, org_id: UUID, *arguments: str) -> Result:
    """Run it for the organization. It has an event loop of its own."""
    environment = {"OPSC_DATABASE_URL": database.url("opsc_owner")}
    line = ["quotes", format_id("org", org_id), *arguments]
    return await asyncio.to_thread(CliRunner().invoke, verify, line, env=environment)


async def _found(database: DatabaseUnderTest, org_id: UUID) -> tuple[int, dict[str, Any]]:
    result = await _verify(database, org_id, "--json")
    return result.exit_code, json.loads(result.stdout)


def _label(database: DatabaseUnderTest, quote_id: UUID) -> str:
    ((number,),) = database.run("admin", "SELECT number FROM quotes WHERE id = %s", (quote_id,))
    return f"Q-{number}"


async def test_sums_that_are_not_those_of_the_lines_are_listed(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    quote_id = quote_in(database, org_id, "draft", document=False)
    right = {"organizations": 1, "quotes": 1, "differences": [], "unconfirmed": []}
    assert await _found(database, org_id) == (0, right)
    wrong = "UPDATE quotes SET subtotal_cents = 7, total_cents = 7 WHERE id = %s"
    put(database, (wrong, (quote_id,)))
    code, found = await _found(database, org_id)
    assert (code, found["differences"]) == (
        1,
        [
            {
                "organization_id": format_id("org", org_id),
                "quote_id": format_id("quo", quote_id),
                "label": _label(database, quote_id),
                "stored": [7, 0, 0, 7],
                "worked_out": [0, 0, 0, 0],
            }
        ],
    )
    text = (await _verify(database, org_id)).stdout
    assert "1 quotes: 1 differ; 0 have amounts that an admin has not confirmed" in text


async def test_amounts_that_nobody_confirmed_are_listed_as_they_were_and_are(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    quote_id = quote_in(database, org_id, "accepted", document=False)
    put(
        database,
        (
            "UPDATE quotes SET amounts_confirmed = false, currency = 'JPY', total_cents = 123450,"
            " subtotal_cents = 123450, lines = jsonb_set(lines, '{0,unit_price_cents}', '123450')"
            " WHERE id = %s",
            (quote_id,),
        ),
    )
    code, found = await _found(database, org_id)
    assert (code, found["unconfirmed"]) == (
        0,
        [
            {
                "organization_id": format_id("org", org_id),
                "quote_id": format_id("quo", quote_id),
                "label": _label(database, quote_id),
                "status": "accepted",
                "was": "JPY 1,234.50",
                "is": "JPY 123,450",
                "waits": False,
            }
        ],
    )
    put(
        database, ("UPDATE quotes SET state = 'sent', decided_at = NULL WHERE id = %s", (quote_id,))
    )
    code, found = await _found(database, org_id)
    assert (code, found["unconfirmed"][0]["waits"]) == (1, True)
