"""The database allows the moves of a work order that the table has, and no others, as the
application's role.
"""

import asyncio
from itertools import product
from uuid import UUID

import psycopg
import pytest

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.numbers import next_number
from operations.work_orders.states import MOVES, STATES
from tests.db.rows import transaction
from tests.db.rules.proving import order_in
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

WAYS = {(each.state, each.then) for each in MOVES} | {(state, state) for state in STATES}


@pytest.fixture(scope="module")
def org_id(database: DatabaseUnderTest) -> UUID:
    """An organization."""
    return asyncio.run(Tenant.create(database)).org_id


async def _set(conn: Connection, order_id: UUID, state: str) -> bool:
    """Return whether the database lets the state be written, whatever else it then wants."""
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute("UPDATE work_orders SET state = %s WHERE id = %s", (state, order_id))
    except psycopg.errors.CheckViolation as error:
        assert error.diag.constraint_name == "work_orders_moves"  # noqa: PT017  # not every call fails
        return False
    return True


@pytest.mark.parametrize("state", STATES)
async def test_every_pair_of_states_is_as_in_the_table(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    ids = {then: order_in(database, org_id, state, assigned=False) for then in STATES}
    async with transaction(database, "opsc_app", org_id) as conn:
        allowed = {(state, then) for then in STATES if await _set(conn, ids[then], then)}
    assert allowed == {way for way in product([state], STATES) if way in WAYS}


@pytest.mark.parametrize("state", STATES)
async def test_an_order_begins_as_a_draft_or_created_or_in_somebodys_hands(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    statement = (
        "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
        " VALUES (current_org_id(), %s, %s, 'x', 'normal', %s)"
    )
    async with transaction(database, "opsc_app", org_id) as conn:
        try:
            async with conn.transaction(force_rollback=True):
                number = await next_number(conn, "work_order")
                await conn.execute(statement, (new_id(), number, state))
            begins = True
        except psycopg.errors.CheckViolation:
            begins = False
    assert begins == (state in ("draft", "created", "assigned"))


async def test_numbers_rise_by_one_and_come_back_with_what_is_undone(
    database: DatabaseUnderTest,
) -> None:
    org_id = (await Tenant.create(database)).org_id
    async with transaction(database, "opsc_app", org_id) as conn:
        assert [await next_number(conn, "work_order") for _ in range(3)] == [1, 2, 3]
        async with conn.transaction(force_rollback=True):
            assert await next_number(conn, "work_order") == 4
        assert await next_number(conn, "work_order") == 4
        assert await next_number(conn, "quote") == 1


@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["work_order_transitions", "work_order_comments"])
async def test_what_was_recorded_stays(
    database: DatabaseUnderTest, org_id: UUID, table: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with transaction(database, "opsc_app", org_id) as conn:
            await conn.execute(statement.format(table).encode())
