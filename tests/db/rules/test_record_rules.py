"""SQL as the application's role cannot forge records: their times and numbers, the beginning of an
order, events, and what belongs to a thing that is deleted.
"""

import re
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from api.openapi.event_types import EVENT_KINDS
from db.core.ids import new_id
from tests.db.every_table import make_tenant
from tests.db.rules.proving import (
    EARLIER,
    LINE,
    Statement,
    at_once,
    become,
    deletion,
    evidence_of,
    insert_named,
    moved,
    new_order,
    of_earlier,
    order_in,
    put,
    quote_in,
    refusal,
    said,
    to_state,
)
from tests.servers import DatabaseUnderTest

# Work orders --------------------------------------------------------------------------------------


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


async def test_an_order_has_500_transitions_and_those_that_end_it(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "started", assigned=True)
    held = moved(order_id, "started", "on_hold")
    many = (
        "INSERT INTO work_order_transitions (org_id, id, work_order_id, verb, from_state, state,"
        " user_id) SELECT %(org)s, gen_random_uuid(), %(order)s, 'resume', 'on_hold', 'started',"
        " %(order)s FROM generate_series(1, 499)",
        {"org": org_id, "order": order_id},
    )
    put(database, many)
    assert await refusal(database, org_id, *held) is None
    resumed = moved(order_id, "on_hold", "started")
    assert await refusal(database, org_id, *resumed) == "work_order_transitions_most"
    assert await refusal(database, org_id, *moved(order_id, "on_hold", "cancelled")) is None


# Things in use ------------------------------------------------------------------------------------


def _new_quote(quote_id: UUID, client_id: UUID) -> Statement:
    return (
        "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
        " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents)"
        " SELECT org_id, %s, last, 1, %s, 'x', %s, 'EUR', '2099-01-01', 0, 0, 0, 0"
        " FROM number_counters WHERE kind = 'quote'",
        (quote_id, client_id, Jsonb([LINE])),
    )


_TAKE_QUOTE_NUMBER: Statement = (
    "INSERT INTO number_counters AS counter (org_id, kind, last) VALUES (current_org_id(), 'quote',"
    " 1) ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1",
    (),
)


def _owned(table: str, row_id: UUID, owner: str, owner_id: UUID) -> list[Statement]:
    if table == "quotes":
        return [_TAKE_QUOTE_NUMBER, _new_quote(row_id, owner_id)]
    revision = {"revision": 0} if table == "assets" else {}
    return [insert_named(table, row_id, **{f"{owner}_id": owner_id}, **revision)]


@pytest.mark.parametrize(
    ("owner", "table"),
    [("client", "sites"), ("client", "assets"), ("client", "quotes"), ("site", "assets")],
)
async def test_what_something_belongs_to_is_not_deleted(
    database: DatabaseUnderTest, org_id: UUID, owner: str, table: str
) -> None:
    owner_id, row_id, other = new_id(), new_id(), new_id()
    gone, back = deletion(f"{owner}s", owner_id), deletion(f"{owner}s", owner_id, restore=True)
    row_gone, row_back = deletion(table, row_id), deletion(table, row_id, restore=True)
    there = f"{table}_{owner}_is_there"

    async def refused(*statements: Statement) -> str | None:
        return await refusal(database, org_id, *statements)

    made = [insert_named(f"{owner}s", owner_id), *_owned(table, row_id, owner, owner_id)]
    assert await refused(*made) is None
    assert await refused(gone) == f"{owner}s_in_use"
    elsewhere = "SELECT set_config('app.org_id', gen_random_uuid()::text, true)"
    statement, values = gone
    away = f"{statement} RETURNING ({elsewhere})", values
    # The API's role has no set_config(), the owner has.
    assert await refusal(database, org_id, away, role="opsc_owner") == "acting_for"
    assert await refused(row_gone, gone) is None
    assert await refused(row_back) == there
    assert await refused(*_owned(table, other, owner, owner_id)) == there
    assert await refused(back, row_back) is None
    next_owner = new_id()
    given = f"UPDATE {table} SET {owner}_id = %s WHERE id = %s", (next_owner, row_id)
    deleted = deletion(f"{owner}s", next_owner)
    assert await refused(insert_named(f"{owner}s", next_owner), deleted, given) == there


@pytest.mark.parametrize("is_made_first", [True, False])
async def test_a_client_is_not_deleted_while_it_is_given_a_quote(
    database: DatabaseUnderTest, org_id: UUID, is_made_first: bool
) -> None:
    client_id = new_id()
    assert await refusal(database, org_id, insert_named("clients", client_id)) is None
    made = _owned("quotes", new_id(), "client", client_id)
    gone = [deletion("clients", client_id)]
    first, second = (made, gone) if is_made_first else (gone, made)
    wanted = "clients_in_use" if is_made_first else "quotes_client_is_there"
    assert await at_once(database, org_id, first, second) == [None, wanted]


# Numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("UPDATE number_counters SET last = 0", "number_counters_rise"),
        ("UPDATE number_counters SET last = last", "number_counters_rise"),
        ("UPDATE number_counters SET last = last - 1", "number_counters_rise"),
        ("UPDATE number_counters SET last = last + 2", "number_counters_rise"),
        ("UPDATE number_counters SET last = last + 1", None),
        ("INSERT INTO number_counters SELECT current_org_id(), 'x', 7", "number_counters_rise"),
    ],
)
async def test_a_counter_rises_by_one(
    database: DatabaseUnderTest, org_id: UUID, change: str, wanted: str | None
) -> None:
    order_in(database, org_id, "created", assigned=False)
    order_in(database, org_id, "created", assigned=False)
    assert await refusal(database, org_id, (change, ())) == wanted


async def test_a_new_thing_has_the_number_that_was_taken(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    client_id = new_id()
    assert await refusal(database, org_id, insert_named("clients", client_id)) is None
    for (statement, values), wanted in (
        (new_order(new_id()), "work_orders_numbered"),
        (_new_quote(new_id(), client_id), "quotes_numbered"),
    ):
        later = re.sub(r"\blast\b", "last + 1", statement), values
        assert await refusal(database, org_id, _TAKE_QUOTE_NUMBER, later) == wanted
    first, second = (
        (_new_quote(new_id(), client_id)[0].replace("last, 1", f"last{more}, 2"), values)
        for more, values in (
            ("", (new_id(), client_id, Jsonb([LINE]))),
            (" + 1", (new_id(), client_id, Jsonb([LINE]))),
        )
    )
    assert await refusal(database, org_id, _TAKE_QUOTE_NUMBER, first) is None
    assert await refusal(database, org_id, _TAKE_QUOTE_NUMBER, second) == "quotes_numbered"


# Times --------------------------------------------------------------------------------------------

_RECORDS = (
    "attachments",
    "inspection_forms",
    "inspection_template_versions",
    "quotes",
    "stock_movements",
    "timesheet_adjustments",
    "work_order_comments",
    "work_order_transitions",
    "work_orders",
)


async def test_a_record_is_of_the_time_when_it_is_made(database: DatabaseUnderTest) -> None:
    org_id = await make_tenant(database)
    draft = "UPDATE inspection_forms SET state = 'draft', submitted_by = NULL, submitted_at = NULL"
    put(database, (f"{draft} WHERE org_id = %s", (org_id,)))
    for table in _RECORDS:
        ((names,),) = database.run(
            "admin",
            "SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''",
            (table,),
        )
        for at in (EARLIER, "now() + interval '11 minutes'", "now()"):
            values = ", ".join(at if name == "created_at" else name for name in names)
            copy = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} LIMIT 1"
            found = await refusal(database, org_id, (copy, ()))
            assert (table, found == "dated") == (table, at != "now()")


async def test_what_happens_to_an_order_is_of_then(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "started", assigned=True)
    ended = of_earlier(to_state(order_id, "cancelled"), "ended_at")
    cancelled = said(order_id, "started", "cancelled")
    assert await refusal(database, org_id, ended, cancelled) == "work_orders_dated"
    begun = f"UPDATE work_orders SET started_at = {EARLIER} WHERE id = %s", (order_id,)
    assert await refusal(database, org_id, begun) == "work_orders_dated"


async def test_what_happens_to_a_quote_is_of_then(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    quote_id = quote_in(database, org_id, "sent", document=True)
    accepted = become(quote_id, "accepted"), evidence_of(database, quote_id, "accepted")
    earlier = of_earlier(accepted[0], "decided_at"), accepted[1]
    assert await refusal(database, org_id, *earlier) == "quotes_dated"
    viewed = f"UPDATE quotes SET state = 'viewed', viewed_at = {EARLIER} WHERE id = %s"
    assert await refusal(database, org_id, (viewed, (quote_id,))) == "quotes_dated"


async def test_what_happens_to_a_timesheet_is_of_then(database: DatabaseUnderTest) -> None:
    org_id = await make_tenant(database)
    by = "(SELECT id FROM users LIMIT 1)"
    for state, change in (
        ("open", f"state = 'submitted', submitted_by = {by}, submitted_at = "),
        ("submitted", f"state = 'rejected', decided_by = {by}, decided_at = "),
        ("approved", f"state = 'locked', locked_by = {by}, locked_at = "),
    ):
        put(
            database,
            (
                "UPDATE timesheets SET state = %(state)s, submitted_by = made.one, submitted_at ="
                " made.at, decided_by = CASE WHEN %(state)s = 'approved' THEN made.one END,"
                " decided_at = CASE WHEN %(state)s = 'approved' THEN made.at END,"
                " figures = made.figures, rules = made.figures"
                " FROM (SELECT CASE WHEN %(state)s <> 'open' THEN id END, CASE WHEN %(state)s"
                " <> 'open' THEN now() END, CASE WHEN %(state)s = 'approved' THEN jsonb '{}' END"
                " FROM users WHERE org_id = %(org)s LIMIT 1) AS made (one, at, figures)"
                " WHERE org_id = %(org)s",
                {"org": org_id, "state": state},
            ),
        )
        for at, wanted in ((EARLIER, "timesheets_dated"), ("now()", None)):
            said_at = f"UPDATE timesheets SET {change}{at}", ()
            assert await refusal(database, org_id, said_at) == wanted


# Events -------------------------------------------------------------------------------------------


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
