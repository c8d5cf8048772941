"""SQL as the application's role cannot do what the rules of the API forbid: work orders, stock,
inspections, rights.
"""

from uuid import UUID

import psycopg
import pytest

from db.core.ids import new_id
from operations.work_orders.states import MOVES, STATES, VERBS
from tests.db.rows import transaction
from tests.db.rules.proving import (
    Statement,
    at_once,
    deletion,
    given_to,
    insert_named,
    moved,
    new_order,
    order_in,
    put,
    quote_in,
    refusal,
    said,
    to_state,
)
from tests.servers import DatabaseUnderTest

FIXED = ("completed", "closed", "cancelled")
_ELSEWHERE = "CALL act_for(gen_random_uuid(), '')", ()


async def _denied(database: DatabaseUnderTest, org_id: UUID, statement: str) -> bool:
    """Return whether the role has no right to a statement."""
    try:
        async with transaction(database, "opsc_app", org_id) as conn:
            await conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


# Whoever acts for another organization meanwhile --------------------------------------------------


async def test_a_check_at_commit_is_not_avoided_by_acting_for_another_organization(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "assigned", assigned=True)
    free = "DELETE FROM work_order_assignees WHERE work_order_id = %s", (order_id,)
    assert await refusal(database, org_id, free, _ELSEWHERE) == "acting_for"
    gone = deletion("work_orders", order_id)
    assert await refusal(database, org_id, gone, _ELSEWHERE) == "acting_for"


@pytest.mark.parametrize("table", ["clients", "sites", "employees"])
async def test_nor_is_a_check_at_the_end_of_a_statement(
    database: DatabaseUnderTest, org_id: UUID, table: str
) -> None:
    thing = new_id()
    assert await refusal(database, org_id, insert_named(table, thing)) is None
    statement, values = deletion(table, thing)
    away = f"{statement} RETURNING set_config('app.org_id', gen_random_uuid()::text, true)", values
    # The API's role has no set_config(), the owner has.
    assert await refusal(database, org_id, away, role="opsc_owner") == "acting_for"


# Work orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", FIXED)
async def test_an_order_that_is_over_does_not_change(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    order_id, thing_id = order_in(database, org_id, state, assigned=True), new_id()

    async def refused(statement: str) -> str | None:
        return await refusal(database, org_id, (statement, {"id": order_id, "thing": thing_id}))

    await refusal(database, org_id, insert_named("employees", thing_id))
    await refusal(database, org_id, insert_named("assets", thing_id, revision=1))
    for change in (
        "title = 'y'",
        "checklist = '[1]'",
        "started_at = now()",
        "ended_at = now()",
        "due_at = now()",
        "priority = 'urgent'",
    ):
        statement = f"UPDATE work_orders SET {change} WHERE id = %(id)s"
        assert await refused(statement) == "work_orders_fixed"
    cost = "UPDATE work_orders SET labour_cost_cents = 1, currency = 'EUR' WHERE id = %(id)s"
    assert await refused(cost) == (None if state == "completed" else "work_orders_fixed")
    for statement in (
        "INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)"
        " VALUES (current_org_id(), %(id)s, %(thing)s)",
        "INSERT INTO work_order_assets (org_id, work_order_id, asset_id)"
        " VALUES (current_org_id(), %(id)s, %(thing)s)",
        "DELETE FROM work_order_assignees WHERE work_order_id = %(id)s",
    ):
        assert await refused(statement) == "work_orders_fixed"
    for rates in ("'{}'", "NULL", "'{}'"):
        statement = f"UPDATE work_orders SET labour_rates = {rates} WHERE id = %(id)s"
        is_kept = state == "closed" and rates == "'{}'"
        allowed = is_kept or (state != "closed" and rates == "NULL")
        assert await refused(statement) == (None if allowed else "work_orders_fixed")


@pytest.mark.parametrize(
    ("most", "table", "columns", "values", "things", "made"),
    [
        (100, "work_order_assignees", "employee_id", "id", "employees (name)", "'x'"),
        (100, "work_order_assets", "asset_id", "id", "assets (name, revision)", "'x', 1"),
        (200, "work_order_parts", "part_id, id, planned_milli", "id, id, 1",
         "parts (number, name, unit, currency)", "id::text, 'x', 'x', 'EUR'"),
        (1_000, "work_order_comments", "user_id, id, text", "id, id, 'x'",
         "users (email, role)", "id || '@example.com', 'viewer'"),
    ],
)  # fmt: skip
async def test_the_rows_of_an_order_are_bounded(
    database: DatabaseUnderTest,
    org_id: UUID,
    most: int,
    table: str,
    columns: str,
    values: str,
    things: str,
    made: str,
) -> None:
    order_id = order_in(database, org_id, "created", assigned=False)
    first, second = new_id(), new_id()
    row = f"INSERT INTO {table} (org_id, work_order_id, {columns}) SELECT %s, %s, {values} FROM"
    put(
        database,
        (
            f"INSERT INTO {things.replace('(', '(org_id, id, ')} SELECT %s, id, {made}"
            " FROM unnest(%s::uuid[]) AS id",
            (org_id, [first, second]),
        ),
        (
            f"{row} (SELECT gen_random_uuid() AS id FROM generate_series(2, %s)) AS one",
            (org_id, order_id, most),
        ),
    )
    last, beyond = (
        (f"{row} (SELECT %s::uuid AS id) AS one", (org_id, order_id, each))
        for each in (first, second)
    )
    assert await refusal(database, org_id, last) is None
    assert await refusal(database, org_id, beyond) == "work_orders_most"


@pytest.mark.parametrize("state", STATES)
async def test_what_an_order_plans_changes_until_it_has_ended(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    order_id, part_id, other = order_in(database, org_id, state, assigned=True), new_id(), new_id()
    part = (
        "INSERT INTO parts (org_id, id, number, name, unit, currency)"
        " SELECT current_org_id(), one, one::text, 'x', 'piece', 'EUR'"
        "   FROM unnest(%s::uuid[]) AS one",
        ([part_id, other],),
    )

    def planned(part_id: UUID, milli: int) -> Statement:
        return (
            "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, planned_milli)"
            " VALUES (current_org_id(), gen_random_uuid(), %s, %s, %s)",
            (order_id, part_id, milli),
        )

    is_open = state in ("draft", "created", "assigned", "started", "on_hold")
    plans = None if is_open else "work_orders_fixed"
    assert await refusal(database, org_id, part, planned(part_id, 1)) == plans
    uses = None if is_open or state == "completed" else "work_orders_fixed"
    assert await refusal(database, org_id, part if plans else planned(other, 0)) == (
        None if plans else uses
    )
    if plans:
        assert await refusal(database, org_id, planned(other, 0)) == uses
    if uses is None:
        change = "UPDATE work_order_parts SET planned_milli = 5 WHERE part_id = %s", (other,)
        assert await refusal(database, org_id, change) == plans


async def test_a_transition_is_a_way_of_the_table(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    condition = _condition(database, "work_order_transitions_way")
    statement = (
        "SELECT from_state, verb, state FROM unnest(%s::text[]) AS before (from_state),"
        " unnest(%s::text[]) AS said (verb), unnest(%s::text[]) AS then_in (state)"
        f" WHERE {condition}"
    )
    found = database.run("admin", statement, (list(STATES), list(VERBS), list(STATES)))
    assert set(found) == {(each.state, each.verb, each.then) for each in MOVES}


def _condition(database: DatabaseUnderTest, constraint: str) -> str:
    ((text,),) = database.run(
        "admin",
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = %s",
        (constraint,),
    )
    return text


async def test_a_transition_is_that_of_a_change(database: DatabaseUnderTest, org_id: UUID) -> None:
    order_id = order_in(database, org_id, "started", assigned=True)
    hold = said(order_id, "started", "on_hold")
    assert await refusal(database, org_id, hold) == "work_order_transitions_made"
    touched = "UPDATE work_orders SET updated_at = now() WHERE id = %s", (order_id,)
    assert await refusal(database, org_id, touched, hold) == "work_order_transitions_made"
    begun = order_in(database, org_id, "assigned", assigned=True)
    wrong = [to_state(begun, "started"), said(begun, "on_hold", "started")]
    assert await refusal(database, org_id, *wrong) == "work_orders_transition"
    assert await refusal(database, org_id, to_state(order_id, "on_hold"), hold) is None


async def test_an_order_is_made_of_an_accepted_quote_or_a_defect(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    def made(**columns: object) -> Statement:
        return new_order(new_id(), **columns)

    for state in ("draft", "sent", "viewed", "declined", "expired", "superseded"):
        order = made(quote_id=quote_in(database, org_id, state, document=False))
        assert await refusal(database, org_id, order) == "work_orders_quote_is_accepted"
    accepted = made(quote_id=quote_in(database, org_id, "accepted", document=False))
    assert await refusal(database, org_id, accepted) is None
    for state, question, wanted in (
        ("draft", "brakes", "work_orders_defect_is_there"),
        ("superseded", "brakes", "work_orders_defect_is_there"),
        ("submitted", "horn", "work_orders_defect_is_there"),
        ("submitted", "brakes", None),
    ):
        form_id = _form(database, org_id, state)
        order = made(inspection_form_id=form_id, question_id=question)
        assert await refusal(database, org_id, order) == wanted


def _form(database: DatabaseUnderTest, org_id: UUID, state: str) -> UUID:
    form_id = new_id()
    put(
        database,
        (
            "INSERT INTO inspection_forms (org_id, id, template_id, template_version, state,"
            " answers, defects, created_by, submitted_by, submitted_at, superseded_by_id)"
            " SELECT %(org)s, %(id)s, %(id)s, 1, %(state)s, '{}',"
            ' \'[{"question_id": "brakes"}]\', %(id)s,'
            " CASE WHEN %(state)s <> 'draft' THEN %(id)s END,"
            " CASE WHEN %(state)s <> 'draft' THEN now() END,"
            " CASE WHEN %(state)s = 'superseded' THEN %(id)s END",
            {"org": org_id, "id": form_id, "state": state},
        ),
    )
    return form_id


async def test_orders_make_a_tree_of_five_levels(database: DatabaseUnderTest, org_id: UUID) -> None:
    ids = [order_in(database, org_id, "created", assigned=False) for _ in range(7)]

    def below(child: int, parent: int) -> Statement:
        return "UPDATE work_orders SET parent_id = %s WHERE id = %s", (ids[parent], ids[child])

    for child in (4, 3, 2, 1):
        assert await refusal(database, org_id, below(child, child - 1)) is None
    assert await refusal(database, org_id, below(0, 4)) == "work_orders_levels"
    assert await refusal(database, org_id, below(5, 4)) == "work_orders_levels"
    assert await refusal(database, org_id, below(0, 5)) == "work_orders_levels"
    gone = deletion("work_orders", ids[3])
    assert await refusal(database, org_id, gone) == "work_orders_pieces"
    leaf = deletion("work_orders", ids[4])
    assert await refusal(database, org_id, leaf, gone) is None
    back = deletion("work_orders", ids[4], restore=True)
    assert await refusal(database, org_id, back) == "work_orders_parent_is_there"
    assert await refusal(database, org_id, below(6, 3)) == "work_orders_parent_is_there"
    made = new_order(new_id(), parent_id=ids[3])
    assert await refusal(database, org_id, made) == "work_orders_parent_is_there"


# Two at the same time -----------------------------------------------------------------------------


async def test_two_do_not_take_the_last_two_assignees_awayat_once(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id, other = order_in(database, org_id, "assigned", assigned=True), new_id()
    await refusal(database, org_id, insert_named("employees", other), given_to(order_id, other))

    def free(comparison: str) -> list[Statement]:
        return [
            (
                "DELETE FROM work_order_assignees WHERE work_order_id = %s"
                f" AND employee_id {comparison} %s",
                (order_id, other),
            )
        ]

    found = await at_once(database, org_id, free("="), free("<>"))
    assert sorted(found, key=str) == [None, "work_orders_assignee"]


async def test_the_last_assignee_does_not_go_while_an_order_is_assigned(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "created", assigned=True)
    free = "DELETE FROM work_order_assignees WHERE work_order_id = %s", (order_id,)
    found = await at_once(database, org_id, moved(order_id, "created", "assigned"), [free])
    assert found == [None, "work_orders_assignee"]


@pytest.mark.parametrize("table", ["clients", "employees", "sites"])
async def test_a_thing_is_not_deleted_while_an_order_is_given_it(
    database: DatabaseUnderTest, org_id: UUID, table: str
) -> None:
    there = {"clients": "client_is_there", "sites": "site_is_there"}.get(table, "assignee_is_there")
    for is_given_first in (True, False):
        thing = new_id()
        order_id = order_in(database, org_id, "created", assigned=False)
        assert await refusal(database, org_id, insert_named(table, thing)) is None
        given = (
            given_to(order_id, thing)
            if table == "employees"
            else new_order(new_id(), **{f"{table[:-1]}_id": thing})
        )
        gone = deletion(table, thing)
        first, second = (given, gone) if is_given_first else (gone, given)
        wanted = f"{table}_in_work_orders" if is_given_first else f"work_orders_{there}"
        assert await at_once(database, org_id, [first], [second]) == [None, wanted]


@pytest.mark.parametrize("is_stocked_first", [True, False])
async def test_a_warehouse_is_not_deleted_while_something_comes_in(
    database: DatabaseUnderTest, org_id: UUID, is_stocked_first: bool
) -> None:
    part_id, store_id = _stocked(database, org_id)
    comes_in, gone = _moved(part_id, store_id, "receive"), deletion("warehouses", store_id)
    first, second = (comes_in, gone) if is_stocked_first else (gone, comes_in)
    wanted = "warehouses_in_stock" if is_stocked_first else "stock_movements_place"
    assert await at_once(database, org_id, [first], [second]) == [None, wanted]


async def test_nothing_is_reserved_for_an_order_while_it_is_cancelled(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    part_id, store_id = _stocked(database, org_id)
    order_id = order_in(database, org_id, "created", assigned=False)
    plan = (
        "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, warehouse_id,"
        " planned_milli) VALUES (current_org_id(), gen_random_uuid(), %s, %s, %s, 1000)",
        (order_id, part_id, store_id),
    )
    stock = _moved(part_id, store_id, "receive")
    assert await refusal(database, org_id, plan, stock) is None
    cancelled = moved(order_id, "created", "cancelled")
    reserved = _moved(part_id, store_id, "reserve", order_id)
    found = await at_once(database, org_id, cancelled, [reserved])
    assert found == [None, "stock_movements_order_state"]


def _stocked(database: DatabaseUnderTest, org_id: UUID) -> tuple[UUID, UUID]:
    """Return a part and a warehouse with an empty level."""
    part_id, store_id = new_id(), new_id()
    put(
        database,
        (
            "INSERT INTO parts (org_id, id, number, name, unit, currency)"
            " VALUES (%s, %s, %s, 'x', 'piece', 'EUR')",
            (org_id, part_id, str(part_id)),
        ),
        (
            "INSERT INTO warehouses (org_id, id, name) VALUES (%s, %s, 'x')",
            (org_id, store_id),
        ),
        (
            "INSERT INTO inventory (org_id, id, part_id, warehouse_id) VALUES (%s, %s, %s, %s)",
            (org_id, new_id(), part_id, store_id),
        ),
    )
    return part_id, store_id


def _moved(part_id: UUID, store_id: UUID, kind: str, order_id: UUID | None = None) -> Statement:
    changes = (0, 1000) if kind == "reserve" else (1000, 0)
    return (
        "INSERT INTO stock_movements (org_id, id, part_id, warehouse_id, kind, quantity_milli,"
        " on_hand_change_milli, reserved_change_milli, work_order_id)"
        " VALUES (current_org_id(), gen_random_uuid(), %s, %s, %s, 1000, %s, %s, %s)",
        (part_id, store_id, kind, *changes, order_id),
    )


# Rights -------------------------------------------------------------------------------------------


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
