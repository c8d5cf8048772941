"""What the database keeps from the application's role, whatever a statement says: rights, and one
row where there is to be one. The rules of states are those of `operations/`, which the API applies.
"""

import asyncio
import re
from uuid import UUID

import psycopg
import pytest

from api.openapi.event_types import EVENT_KINDS
from db.core.ids import new_id
from tests.db.proving import Statement, new_order, put, quote_in, refusal
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def org_id(database: DatabaseUnderTest) -> UUID:
    """An organization."""
    return asyncio.run(Tenant.create(database)).org_id


def _created(order_id: UUID, state: str = "created") -> Statement:
    return (
        "INSERT INTO work_order_transitions (org_id, id, work_order_id, verb, state, user_id)"
        " SELECT org_id, gen_random_uuid(), %s, 'create', %s, id FROM users LIMIT 1",
        (order_id, state),
    )


async def test_an_order_is_created_once(database: DatabaseUnderTest, org_id: UUID) -> None:
    order_id = new_id()
    assert await refusal(database, org_id, new_order(order_id), _created(order_id)) is None
    for state in ("created", "draft"):
        again = await refusal(database, org_id, _created(order_id, state))
        assert again == "work_order_transitions_once"


async def test_of_the_revisions_of_a_quote_one_stands(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    first = quote_in(database, org_id, "sent", document=False)
    later = quote_in(database, org_id, "draft", document=False)
    put(
        database,
        (
            "UPDATE quotes SET revision = 2, number = (SELECT number FROM quotes WHERE id = %s)"
            " WHERE id = %s",
            (first, later),
        ),
    )
    sent = "UPDATE quotes SET state = 'sent', sent_at = now() WHERE id = %s", (later,)
    assert await refusal(database, org_id, sent) == "quotes_one_stands"


async def _denied(database: DatabaseUnderTest, org_id: UUID, statement: str) -> bool:
    """Return whether the role has no right to a statement."""
    try:
        async with transaction(database, "opsc_app", org_id) as conn:
            await conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE work_orders SET number = 1",
        "UPDATE work_orders SET quote_id = NULL",
        "UPDATE quotes SET revision = 2",
        "UPDATE inspection_forms SET supersedes_id = NULL",
        "UPDATE timesheets SET employee_id = id",
        "UPDATE timesheets SET last_day = last_day + 1",
        "UPDATE parts SET currency = 'USD'",
        "UPDATE warehouses SET id = gen_random_uuid()",
        "DELETE FROM part_fits",
        "INSERT INTO part_fits (org_id) SELECT current_org_id()",
        "DELETE FROM attachment_pieces",
        "UPDATE work_order_transitions SET id = id",
        "DELETE FROM work_order_transitions",
        "UPDATE work_order_comments SET id = id",
        "DELETE FROM work_order_comments",
        "UPDATE quote_evidence SET place = 2",
        "DELETE FROM quote_evidence",
        "DELETE FROM quotes",
    ],
)
async def test_what_never_changes_cannot_be_changed(
    database: DatabaseUnderTest, org_id: UUID, statement: str
) -> None:
    assert await _denied(database, org_id, statement)


async def test_an_attachment_stays_as_it_is(database: DatabaseUnderTest, org_id: UUID) -> None:
    put(
        database,
        (
            "INSERT INTO attachments (org_id, id, site_id, file_name, media_type, size_bytes,"
            " sha256, created_by) VALUES (%(org)s, %(id)s, %(id)s, 'x', 'text/plain', 1,"
            " sha256('x'), %(id)s)",
            {"org": org_id, "id": new_id()},
        ),
    )
    assert not await _denied(database, org_id, "SELECT FROM attachments FOR UPDATE")
    assert await _denied(database, org_id, "UPDATE attachments SET file_name = 'y'")


async def test_nothing_can_be_truncated_and_no_trigger_be_silenced(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    for role in ("opsc_app", "opsc_ingest", "opsc_listen", "opsc_deliver"):
        found = database.run(
            "admin",
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace"
            " AND (has_table_privilege(%(role)s, oid, 'TRUNCATE')"
            "      OR has_table_privilege(%(role)s, oid, 'TRIGGER'))",
            {"role": role},
        )
        assert found == []
    for setting in ("session_replication_role = replica", "row_security = off"):
        statement = f"SET LOCAL {setting}; SELECT FROM work_orders"
        assert await _denied(database, org_id, statement)


async def test_an_event_has_a_type_of_the_list(database: DatabaseUnderTest, org_id: UUID) -> None:
    ((condition,),) = database.run(
        "admin",
        "SELECT pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polname = 'of_a_type'",
    )
    assert set(re.findall(r"[a-z_]+\.[a-z_]+", condition)) == {each.name for each in EVENT_KINDS}
    for kind, wanted in (("quote.accepted", None), ("quote.bought", "of_a_type")):
        event = (
            "INSERT INTO events (org_id, id, type, occurred_at, data)"
            " SELECT current_org_id(), gen_random_uuid(), %s, now(), '{}'",
            (kind,),
        )
        assert await refusal(database, org_id, event) == wanted
