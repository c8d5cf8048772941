"""The application's role cannot put a thing into a state of which the proof is missing, or that
names what is deleted.
"""

from uuid import UUID

import pytest

from db.core.ids import new_id
from operations.quotes.evidence import EvidenceKind
from operations.work_orders.states import OPEN, STATES
from tests.db.rules.proving import (
    Statement,
    become,
    deletion,
    evidence_of,
    given_to,
    insert_named,
    moved,
    new_order,
    new_part,
    order_in,
    planned,
    put,
    quote_in,
    refusal,
    replanned,
    said,
    to_state,
)
from tests.servers import DatabaseUnderTest

# Work orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "then"),
    [("created", "assigned"), ("assigned", "started"), ("on_hold", "started")],
)
async def test_an_order_in_somebodys_hands_has_an_assignee(
    database: DatabaseUnderTest, org_id: UUID, before: str, then: str
) -> None:
    nobodys = order_in(database, org_id, before, assigned=False)
    annas = order_in(database, org_id, before, assigned=True)
    given = moved(nobodys, before, then)
    assert await refusal(database, org_id, *given) == "work_orders_assignee"
    assert await refusal(database, org_id, to_state(annas, then)) == "work_orders_transition"
    assert await refusal(database, org_id, *moved(annas, before, then)) is None


async def test_an_order_begins_in_somebodys_hands_with_an_assignee_and_its_transition(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    employee_id, order_id = new_id(), new_id()
    assert await refusal(database, org_id, insert_named("employees", employee_id)) is None
    made = new_order(order_id, state="assigned")
    given = given_to(order_id, employee_id)
    assign = said(order_id, "created", "assigned")
    assert await refusal(database, org_id, made, assign) == "work_orders_assignee"
    assert await refusal(database, org_id, made, given) == "work_orders_transition"
    other = said(order_id, "completed", "assigned")
    assert await refusal(database, org_id, made, given, other) == "work_orders_transition"
    assert await refusal(database, org_id, made, given, assign) is None


async def test_the_last_assignee_stays_while_an_order_is_in_their_hands(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "assigned", assigned=True)
    free = "DELETE FROM work_order_assignees WHERE work_order_id = %s", (order_id,)
    assert await refusal(database, org_id, free) == "work_orders_assignee"
    ended = moved(order_id, "assigned", "cancelled")
    assert await refusal(database, org_id, free, *ended) is None


async def test_an_order_is_completed_with_a_sign_off_of_that_time(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "started", assigned=True)
    done, signed = moved(order_id, "started", "completed")
    earlier = said(order_id, "started", "completed", days_ago=1)
    assert await refusal(database, org_id, done) == "work_orders_sign_off"
    assert await refusal(database, org_id, done, earlier) == "dated"
    assert await refusal(database, org_id, done, signed) is None


# The things of work orders ------------------------------------------------------------------------


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
                return [new_order(order_id), given_to(order_id, thing, table)]
            return [new_order(order_id, **{f"{table[:-1]}_id": thing})]

        gone, back = deletion(table, thing), deletion(table, thing, restore=True)
        order_gone, order_back = (
            deletion("work_orders", order_id),
            deletion("work_orders", order_id, restore=True),
        )
        ended = moved(order_id, "created", "cancelled")
        reopened = moved(order_id, "cancelled", "created")

        async def refused(*statements: Statement) -> str | None:
            return await refusal(database, org_id, *statements)

        columns = {"revision": 0} if table == "assets" else {}
        assert await refused(insert_named(table, thing, **columns), *made(order_id)) is None
        assert await refused(gone) == f"{table}_in_work_orders"
        assert await refused(order_gone, gone) is None
        assert await refused(order_back) == constraint
        assert await refused(*made(other)) == constraint
        assert await refused(back, order_back) is None
        assert await refused(*ended, gone) is None
        assert await refused(*reopened) == constraint
        assert await refused(back, *reopened) is None


@pytest.mark.parametrize("state", STATES)
async def test_what_an_order_names_is_deleted_when_it_has_ended(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    for table in ("clients", "sites", "employees"):
        thing, order_id = new_id(), order_in(database, org_id, state, assigned=True)
        named = (
            "UPDATE work_order_assignees SET employee_id = %s WHERE work_order_id = %s"
            if table == "employees"
            else f"UPDATE work_orders SET {table[:-1]}_id = %s WHERE id = %s"
        )
        assert await refusal(database, org_id, insert_named(table, thing)) is None
        put(database, (named, (thing, order_id)))
        gone = deletion(table, thing)
        wanted = f"{table}_in_work_orders" if state in OPEN else None
        assert await refusal(database, org_id, gone) == wanted
        if state == "cannot_complete":
            away = deletion("work_orders", order_id)
            back = deletion("work_orders", order_id, restore=True)
            assert await refusal(database, org_id, away) is None
            assert (await refusal(database, org_id, back) is None) == (table == "employees")


async def test_what_an_open_order_plans_is_there(database: DatabaseUnderTest, org_id: UUID) -> None:
    for table, constraint in (
        ("parts", "work_order_parts_part_is_there"),
        ("warehouses", "work_order_parts_warehouse_is_there"),
    ):
        part, place, order_id, other = (new_id() for _ in range(4))
        thing = part if table == "parts" else place
        gone, back = deletion(table, thing), deletion(table, thing, restore=True)

        async def refused(*statements: Statement) -> str | None:
            return await refusal(database, org_id, *statements)

        there = [new_part(part), insert_named("warehouses", place)]
        assert await refused(*there, new_order(order_id), planned(order_id, part, place)) is None
        assert await refused(gone) == f"{table}_in_work_orders"
        assert await refused(replanned(order_id, 0), gone) is None
        assert await refused(replanned(order_id, 1)) == constraint
        assert await refused(new_order(other), planned(other, part, place)) == constraint
        assert await refused(back, replanned(order_id, 1)) is None
        assert await refused(*moved(order_id, "created", "cancelled"), gone) is None


async def test_what_is_planned_of_serials_is_whole(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    part, place, order_id = new_id(), new_id(), new_id()
    there = [new_part(part), insert_named("warehouses", place), new_order(order_id)]

    async def refused(*statements: Statement) -> str | None:
        return await refusal(database, org_id, *statements)

    by_serials = "UPDATE parts SET tracking = 'serial' WHERE id = %s", (part,)
    assert await refused(*there, planned(order_id, part, place, 1500)) is None
    assert await refused(by_serials) == "parts_planned_in_fractions"
    assert await refused(replanned(order_id, 2000), by_serials) is None
    assert await refused(replanned(order_id, 2500)) == "work_order_parts_whole"


async def test_an_order_is_at_a_site_of_its_client_or_of_the_organization(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    ours, theirs, site, own, order_id = (new_id() for _ in range(5))
    begin = [
        insert_named("clients", ours),
        insert_named("clients", theirs),
        insert_named("sites", site, client_id=theirs),
        insert_named("sites", own),
        new_order(order_id, client_id=ours, site_id=own),
    ]
    assert await refusal(database, org_id, *begin) is None
    wrong = "work_orders_site_of_client"
    made = new_order(new_id(), client_id=ours, site_id=site)
    assert await refusal(database, org_id, made) == wrong
    there = "UPDATE work_orders SET site_id = %s WHERE id = %s", (site, order_id)
    assert await refusal(database, org_id, there) == wrong
    other = "UPDATE work_orders SET client_id = %s WHERE id = %s", (theirs, order_id)
    assert await refusal(database, org_id, other, there) is None
    back = "UPDATE work_orders SET client_id = %s WHERE id = %s", (ours, order_id)
    assert await refusal(database, org_id, back) == wrong
    # A site goes to another client: the order keeps both, and is opened again.
    given = "UPDATE sites SET client_id = %s WHERE id = %s", (ours, site)
    ended = moved(order_id, "created", "cancelled")
    assert await refusal(database, org_id, given, *ended) is None
    assert await refusal(database, org_id, *moved(order_id, "cancelled", "created")) is None


@pytest.mark.parametrize("state", ["completed", "closed"])
async def test_an_order_that_somebody_signed_for_stays(
    database: DatabaseUnderTest, org_id: UUID, state: str
) -> None:
    order_id = order_in(database, org_id, state, assigned=True)
    gone = deletion("work_orders", order_id)
    assert await refusal(database, org_id, gone) == "work_orders_signed_stay"


# Quotes -------------------------------------------------------------------------------------------


async def test_a_quote_is_sent_with_its_document(database: DatabaseUnderTest, org_id: UUID) -> None:
    without = quote_in(database, org_id, "draft", document=False)
    sent = become(without, "sent"), evidence_of(database, without, "sent")
    assert await refusal(database, org_id, sent[0]) == "quotes_document"
    quote_id = quote_in(database, org_id, "draft", document=True)
    sent = become(quote_id, "sent"), evidence_of(database, quote_id, "sent")
    assert await refusal(database, org_id, sent[0]) == "quotes_evidence"
    other_pdf = evidence_of(database, quote_id, "sent", pdf_sha256="0" * 64)
    assert await refusal(database, org_id, sent[0], other_pdf) == "quote_evidence_follows"
    assert await refusal(database, org_id, *sent) is None


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
    quote_id = quote_in(database, org_id, "sent", document=True)
    decided = become(quote_id, state)
    assert await refusal(database, org_id, decided) == "quotes_evidence"
    wrong = evidence_of(database, quote_id, other)
    assert await refusal(database, org_id, decided, wrong) == "quote_evidence_follows"
    right = evidence_of(database, quote_id, proof)
    assert await refusal(database, org_id, decided, right) is None
