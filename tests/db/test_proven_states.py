"""The application's role cannot put a thing into a state of which the proof is missing, or that
names what is deleted.
"""

import asyncio
from uuid import UUID

import psycopg
import pytest
from psycopg.abc import Params
from psycopg.types.json import Jsonb

from db.core.ids import new_id
from operations.quotes.evidence import EvidenceKind, next_entry
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

Statement = tuple[str, Params]


@pytest.fixture(scope="module")
def org_id(database: DatabaseUnderTest) -> UUID:
    """An organization."""
    return asyncio.run(Tenant.create(database)).org_id


def _put(database: DatabaseUnderTest, *statements: Statement) -> None:
    """Write rows in whatever state, without triggers."""
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("SET session_replication_role = replica")
        for statement, values in statements:
            conn.execute(statement.encode(), values)


async def _refusal(database: DatabaseUnderTest, org_id: UUID, *statements: Statement) -> str | None:
    """Return the constraint that refuses the statements of one transaction; None: they are done."""
    try:
        async with transaction(database, "opsc_app", org_id) as conn:
            for statement, values in statements:
                await conn.execute(statement.encode(), values)
    except psycopg.errors.CheckViolation as error:
        return error.diag.constraint_name
    return None


# Work orders --------------------------------------------------------------------------------------


def _order(database: DatabaseUnderTest, org_id: UUID, state: str, *, assigned: bool) -> UUID:
    order_id, employee_id = new_id(), new_id()
    _put(
        database,
        (
            "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
            " SELECT %s, %s, coalesce(max(number), 0) + 1, 'x', 'normal', %s FROM work_orders"
            " WHERE org_id = %s",
            (org_id, order_id, state, org_id),
        ),
    )
    if assigned:
        _put(
            database,
            (
                "INSERT INTO employees (org_id, id, name) VALUES (%s, %s, 'Anna Keller')",
                (org_id, employee_id),
            ),
            (
                "INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)"
                " VALUES (%s, %s, %s)",
                (org_id, order_id, employee_id),
            ),
        )
    return order_id


def _to(order_id: UUID, state: str) -> Statement:
    return "UPDATE work_orders SET state = %s, ended_at = now() WHERE id = %s", (state, order_id)


def _signed(order_id: UUID, days_ago: int = 0) -> Statement:
    return (
        "INSERT INTO work_order_transitions (org_id, id, work_order_id, verb, state, user_id,"
        " created_at, signer_name, signed_at) SELECT current_org_id(), %s, %s, 'complete',"
        " 'completed', id, now() - make_interval(days => %s), 'Peter Frei', now() FROM users",
        (new_id(), order_id, days_ago),
    )


@pytest.mark.parametrize(
    ("before", "then"),
    [("created", "assigned"), ("assigned", "started"), ("on_hold", "started")],
)
async def test_an_order_in_somebodys_hands_has_an_assignee(
    database: DatabaseUnderTest, org_id: UUID, before: str, then: str
) -> None:
    nobodys = _order(database, org_id, before, assigned=False)
    annas = _order(database, org_id, before, assigned=True)
    assert await _refusal(database, org_id, _to(nobodys, then)) == "work_orders_assignee"
    assert await _refusal(database, org_id, _to(annas, then)) is None


async def test_the_last_assignee_stays_while_an_order_is_in_their_hands(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = _order(database, org_id, "assigned", assigned=True)
    free = "DELETE FROM work_order_assignees WHERE work_order_id = %s", (order_id,)
    assert await _refusal(database, org_id, free) == "work_orders_assignee"
    assert await _refusal(database, org_id, free, _to(order_id, "cancelled")) is None


async def test_an_order_is_completed_with_a_sign_off_of_that_time(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = _order(database, org_id, "started", assigned=True)
    done = _to(order_id, "completed")
    earlier = _signed(order_id, days_ago=1)
    assert await _refusal(database, org_id, done) == "work_orders_sign_off"
    assert await _refusal(database, org_id, done, earlier) == "work_orders_sign_off"
    assert await _refusal(database, org_id, done, _signed(order_id)) is None


# The things of work orders ------------------------------------------------------------------------


def _insert(table: str, row_id: UUID, **columns: UUID | int) -> Statement:
    """Return the statement that inserts a row of the tenant with a name."""
    names = "".join(f", {name}" for name in columns)
    places = ", %s" * len(columns)
    statement = f"INSERT INTO {table} (org_id, id, name{names}) SELECT current_org_id(), %s, 'x'"
    return statement + places, (row_id, *columns.values())


def _new_order(order_id: UUID, state: str = "created", **columns: UUID) -> Statement:
    names, places = "".join(f", {name}" for name in columns), ", %s" * len(columns)
    statement = (
        f"INSERT INTO work_orders (org_id, id, number, title, priority, state{names}) SELECT"
        f" current_org_id(), %s, (SELECT coalesce(max(number), 0) + 1 FROM work_orders), 'x',"
        f" 'normal', %s{places}"
    )
    return statement, (order_id, state, *columns.values())


def _given(order_id: UUID, thing_id: UUID, table: str = "employees") -> Statement:
    names = {"employees": ("assignees", "employee_id"), "assets": ("assets", "asset_id")}
    things, column = names[table]
    return (
        f"INSERT INTO work_order_{things} (org_id, work_order_id, {column})"
        " SELECT current_org_id(), %s, %s",
        (order_id, thing_id),
    )


def _delete(table: str, row_id: UUID, *, restore: bool = False) -> Statement:
    at = "NULL" if restore else "now()"
    return f"UPDATE {table} SET deleted_at = {at} WHERE id = %s", (row_id,)


def _cancelled(order_id: UUID) -> Statement:
    return "UPDATE work_orders SET state = 'cancelled' WHERE id = %s", (order_id,)


async def test_what_an_open_order_names_is_there(database: DatabaseUnderTest, org_id: UUID) -> None:
    """With each thing: the order is made, ends, and is open again."""
    for table, constraint in (
        ("clients", "work_orders_client_is_there"),
        ("sites", "work_orders_site_is_there"),
        ("employees", "work_orders_assignee_is_there"),
        ("assets", "work_orders_asset_is_there"),
    ):
        thing, order_id, other = new_id(), new_id(), new_id()

        def made(order_id: UUID, table: str = table, thing: UUID = thing) -> list[Statement]:
            if table in ("employees", "assets"):
                return [_new_order(order_id), _given(order_id, thing, table)]
            return [_new_order(order_id, **{f"{table[:-1]}_id": thing})]

        gone, back = _delete(table, thing), _delete(table, thing, restore=True)
        order_gone, order_back = (
            _delete("work_orders", order_id),
            _delete("work_orders", order_id, restore=True),
        )
        reopened = "UPDATE work_orders SET state = 'created' WHERE id = %s", (order_id,)

        async def refusal(*statements: Statement) -> str | None:
            return await _refusal(database, org_id, *statements)

        columns = {"revision": 0} if table == "assets" else {}
        assert await refusal(_insert(table, thing, **columns), *made(order_id)) is None
        assert await refusal(gone) == f"{table}_in_work_orders"
        assert await refusal(order_gone, gone) is None
        assert await refusal(order_back) == constraint
        assert await refusal(*made(other)) == constraint
        assert await refusal(back, order_back) is None
        assert await refusal(_cancelled(order_id), gone) is None
        assert await refusal(reopened) == constraint
        assert await refusal(back, reopened) is None


def _planned(order_id: UUID, part_id: UUID, place_id: UUID, milli: int = 1000) -> Statement:
    return (
        "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, warehouse_id,"
        " planned_milli) SELECT current_org_id(), %s, %s, %s, %s, %s",
        (new_id(), order_id, part_id, place_id, milli),
    )


def _replanned(order_id: UUID, milli: int) -> Statement:
    return "UPDATE work_order_parts SET planned_milli = %s WHERE work_order_id = %s", (
        milli,
        order_id,
    )


async def test_what_an_open_order_plans_is_there(database: DatabaseUnderTest, org_id: UUID) -> None:
    for table, constraint in (
        ("parts", "work_order_parts_part_is_there"),
        ("warehouses", "work_order_parts_warehouse_is_there"),
    ):
        part, place, order_id, other = (new_id() for _ in range(4))
        thing = part if table == "parts" else place
        gone, back = _delete(table, thing), _delete(table, thing, restore=True)

        async def refusal(*statements: Statement) -> str | None:
            return await _refusal(database, org_id, *statements)

        there = [_part(part), _insert("warehouses", place)]
        planned = _planned(order_id, part, place)
        assert await refusal(*there, _new_order(order_id), planned) is None
        assert await refusal(gone) == f"{table}_in_work_orders"
        assert await refusal(_replanned(order_id, 0), gone) is None
        assert await refusal(_replanned(order_id, 1)) == constraint
        assert await refusal(_new_order(other), _planned(other, part, place)) == constraint
        assert await refusal(back, _replanned(order_id, 1)) is None
        assert await refusal(_cancelled(order_id), gone) is None


async def test_what_is_planned_of_serials_is_whole(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    part, place, order_id = new_id(), new_id(), new_id()
    there = [_part(part), _insert("warehouses", place), _new_order(order_id)]

    async def refusal(*statements: Statement) -> str | None:
        return await _refusal(database, org_id, *statements)

    by_serials = "UPDATE parts SET tracking = 'serial' WHERE id = %s", (part,)
    assert await refusal(*there, _planned(order_id, part, place, 1500)) is None
    assert await refusal(by_serials) == "parts_planned_in_fractions"
    assert await refusal(_replanned(order_id, 2000), by_serials) is None
    assert await refusal(_replanned(order_id, 2500)) == "work_order_parts_whole"


def _part(part_id: UUID) -> Statement:
    return (
        "INSERT INTO parts (org_id, id, number, name, unit, currency)"
        " SELECT current_org_id(), %s, %s, 'x', 'piece', 'EUR'",
        (part_id, str(part_id)),
    )


async def test_an_order_is_at_a_site_of_its_client_or_of_the_organization(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    ours, theirs, site, own, order_id = (new_id() for _ in range(5))
    there = [
        _insert("clients", ours),
        _insert("clients", theirs),
        _insert("sites", site, client_id=theirs),
        _insert("sites", own),
        _new_order(order_id, client_id=ours, site_id=own),
    ]
    assert await _refusal(database, org_id, *there) is None
    wrong = "work_orders_site_of_client"
    made = _new_order(new_id(), client_id=ours, site_id=site)
    assert await _refusal(database, org_id, made) == wrong
    moved = "UPDATE work_orders SET site_id = %s WHERE id = %s", (site, order_id)
    assert await _refusal(database, org_id, moved) == wrong
    other = "UPDATE work_orders SET client_id = %s WHERE id = %s", (theirs, order_id)
    assert await _refusal(database, org_id, other, moved) is None
    back = "UPDATE work_orders SET client_id = %s WHERE id = %s", (ours, order_id)
    assert await _refusal(database, org_id, back) == wrong


@pytest.mark.parametrize("state", ["completed", "closed"])
async def test_an_order_that_somebody_signed_for_stays(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    order_id = _order(database, org_id, state, assigned=True)
    gone = _delete("work_orders", order_id)
    assert await _refusal(database, org_id, gone) == "work_orders_signed_stay"


# Quotes -------------------------------------------------------------------------------------------


def _quote(database: DatabaseUnderTest, org_id: UUID, state: str, *, document: bool) -> UUID:
    quote_id = new_id()
    _put(
        database,
        (
            "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
            " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents, state, sent_at)"
            " SELECT %(org)s, %(id)s, coalesce(max(number), 0) + 1, 1, %(id)s, 'x', %(lines)s,"
            " 'EUR', '2099-01-01', 0, 0, 0, 0, %(state)s, CASE WHEN %(state)s <> 'draft' THEN now()"
            " END FROM quotes",
            {"org": org_id, "id": quote_id, "lines": Jsonb([{}]), "state": state},
        ),
    )
    if document:
        _put(
            database,
            (
                "INSERT INTO quote_documents (org_id, quote_id, content, pdf)"
                " VALUES (%s, %s, 'x', 'x')",
                (org_id, quote_id),
            ),
        )
    return quote_id


def _become(quote_id: UUID, state: str) -> Statement:
    decided = "" if state == "sent" else ", decided_at = now()"
    statement = f"UPDATE quotes SET state = %s, sent_at = now(){decided} WHERE id = %s"
    return statement, (state, quote_id)


def _evidence(quote_id: UUID, kind: EvidenceKind) -> Statement:
    entry = next_entry([], kind, "2026-03-01T12:00:00Z", {"name": "Peter Frei"})
    return (
        "INSERT INTO quote_evidence (org_id, quote_id, place, content, sha256)"
        " SELECT current_org_id(), %s, 1 + count(*), %s, %s FROM quote_evidence"
        "  WHERE quote_id = %s",
        (quote_id, *entry, quote_id),
    )


async def test_a_quote_is_sent_with_its_document(database: DatabaseUnderTest, org_id: UUID) -> None:
    without = _quote(database, org_id, "draft", document=False)
    sent = _become(without, "sent"), _evidence(without, "sent")
    assert await _refusal(database, org_id, *sent) == "quotes_document"
    quote_id = _quote(database, org_id, "draft", document=True)
    sent = _become(quote_id, "sent"), _evidence(quote_id, "sent")
    assert await _refusal(database, org_id, sent[0]) == "quotes_evidence"
    assert await _refusal(database, org_id, *sent) is None


@pytest.mark.parametrize(
    ("state", "proof", "other"),
    [
        ("accepted", "accepted", "viewed"),
        ("accepted", "accepted_by_hand", "declined"),
        ("declined", "declined", "accepted"),
    ],
)
async def test_a_quote_is_decided_with_the_evidence_of_it(
    database: DatabaseUnderTest,
    org_id: UUID,
    state: str,
    proof: EvidenceKind,
    other: EvidenceKind,
) -> None:
    quote_id = _quote(database, org_id, "sent", document=True)
    decided = _become(quote_id, state)
    assert await _refusal(database, org_id, decided) == "quotes_evidence"
    assert await _refusal(database, org_id, decided, _evidence(quote_id, other)) == (
        "quotes_evidence"
    )
    assert await _refusal(database, org_id, decided, _evidence(quote_id, proof)) is None
