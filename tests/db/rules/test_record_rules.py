"""SQL as the application's role cannot forge records: their times and numbers, versions, photos and
answers of inspections, files, events, and what belongs to a thing that is deleted.
"""

import re
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from api.openapi.event_types import EVENT_KINDS
from db.core.ids import new_id
from telemetry.ids import format_id
from tests.db.every_table import make_tenant
from tests.db.rules.proving import (
    LINE,
    Statement,
    at_once,
    become,
    deletion,
    evidence_of,
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

_EARLIER = "now() - interval '2 minutes'"

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
    assert await refused((f"{statement} RETURNING ({elsewhere})", values)) == "acting_for"
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
        for at in (_EARLIER, "now() + interval '11 minutes'", "now()"):
            values = ", ".join(at if name == "created_at" else name for name in names)
            copy = f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} LIMIT 1"
            found = await refusal(database, org_id, (copy, ()))
            assert (table, found == "dated") == (table, at != "now()")


def _at(statement: Statement, column: str) -> Statement:
    """Return a change that says another time than now."""
    text, values = statement
    assert f"{column} = now()" in text
    return text.replace(f"{column} = now()", f"{column} = {_EARLIER}"), values


async def test_what_happens_to_an_order_is_of_then(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    order_id = order_in(database, org_id, "started", assigned=True)
    ended = _at(to_state(order_id, "cancelled"), "ended_at")
    cancelled = said(order_id, "started", "cancelled")
    assert await refusal(database, org_id, ended, cancelled) == "work_orders_dated"
    begun = f"UPDATE work_orders SET started_at = {_EARLIER} WHERE id = %s", (order_id,)
    assert await refusal(database, org_id, begun) == "work_orders_dated"


async def test_what_happens_to_a_quote_is_of_then(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    quote_id = quote_in(database, org_id, "sent", document=True)
    accepted = become(quote_id, "accepted"), evidence_of(database, quote_id, "accepted")
    earlier = _at(accepted[0], "decided_at"), accepted[1]
    assert await refusal(database, org_id, *earlier) == "quotes_dated"
    viewed = f"UPDATE quotes SET state = 'viewed', viewed_at = {_EARLIER} WHERE id = %s"
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
        for at, wanted in ((_EARLIER, "timesheets_dated"), ("now()", None)):
            said_at = f"UPDATE timesheets SET {change}{at}", ()
            assert await refusal(database, org_id, said_at) == wanted


# Inspections --------------------------------------------------------------------------------------

_ASKED: list[dict[str, Any]] = [
    {"id": "brakes", "type": "pass_fail", "label": "Do they hold?", "required": True},
    {"id": "wear", "type": "text", "label": "How?", "required": True,
     "show_if": {"question_id": "brakes", "equals": "fail"}},
    {"id": "front", "type": "photo", "label": "Photo", "required": False},
]  # fmt: skip
_PASSED = {"brakes": {"value": "pass"}}
_FAILED = {"brakes": {"value": "fail", "note": "worn"}, "wear": {"value": "badly"}}
_DEFECT = {"question_id": "brakes", "label": "Do they hold?", "note": "worn"}


def _template(template_id: UUID, version: int = 1) -> Statement:
    return (
        "INSERT INTO inspection_templates (org_id, id, name, version)"
        " VALUES (current_org_id(), %s, 'x', %s)",
        (template_id, version),
    )


def _version(template_id: UUID, version: int = 1, name: str = "x") -> Statement:
    sections = [{"title": "x", "questions": [{"show_if": None} | each for each in _ASKED]}]
    return (
        "INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections,"
        " questions, created_by) SELECT org_id, %s, %s, %s, %s, 3, id FROM users LIMIT 1",
        (template_id, version, name, Jsonb(sections)),
    )


async def test_the_version_of_a_template_is_there_and_its_newest(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    template_id = new_id()

    async def refused(*statements: Statement) -> str | None:
        return await refusal(database, org_id, *statements)

    def changed(change: str) -> Statement:
        return f"UPDATE inspection_templates SET {change} WHERE id = %s", (template_id,)

    wrong = "inspection_templates_version"
    assert await refused(_template(template_id)) == wrong
    assert await refused(_template(template_id, 2), _version(template_id, 2)) == wrong
    assert await refused(_template(template_id), _version(template_id)) is None
    for change in ("version = 2", "version = 0", "name = 'y'"):
        assert await refused(changed(change)) in (wrong, "inspection_templates_version_check")
    assert await refused(_version(template_id, 2)) == wrong
    assert await refused(changed("version = 3"), _version(template_id, 3)) == wrong
    second = changed("version = 2, name = 'y'")
    assert await refused(second, _version(template_id, 2)) == wrong
    assert await refused(second, _version(template_id, 2, "y")) is None
    assert await refused(changed("version = 1, name = 'x'")) == wrong


def _draft(
    form_id: UUID, template_id: UUID, answers: dict[str, Any], *defects: object
) -> list[Statement]:
    """Return the statements that make a template and a draft of a form of it."""
    form = (
        "INSERT INTO inspection_forms (org_id, id, template_id, template_version, state, answers,"
        " defects, created_by) SELECT org_id, %s, %s, 1, 'draft', %s, %s, id FROM users LIMIT 1",
        (form_id, template_id, Jsonb(answers), Jsonb(list(defects))),
    )
    return [_template(template_id), _version(template_id), form]


def _submitted(form_id: UUID) -> Statement:
    return (
        "UPDATE inspection_forms SET state = 'submitted', submitted_by = created_by,"
        " submitted_at = now() WHERE id = %s",
        (form_id,),
    )


@pytest.mark.parametrize(
    ("answers", "defects", "wanted"),
    [
        (_PASSED, [], None),
        (_FAILED, [_DEFECT], None),
        ({}, [], "inspection_forms_asked"),
        (_PASSED | {"horn": {"value": "pass"}}, [], "inspection_forms_asked"),
        (_FAILED, [], "inspection_forms_defects"),
        (_PASSED, [_DEFECT], "inspection_forms_defects"),
        (_FAILED, [_DEFECT | {"label": "Another"}], "inspection_forms_defects"),
    ],
)
async def test_a_submitted_form_answers_its_version(
    database: DatabaseUnderTest,
    org_id: UUID,
    answers: dict[str, Any],
    defects: list[object],
    wanted: str | None,
) -> None:
    form_id = new_id()
    done = [*_draft(form_id, new_id(), answers, *defects), _submitted(form_id)]
    assert await refusal(database, org_id, *done) == wanted
    elsewhere = "SELECT set_config('app.org_id', gen_random_uuid()::text, true)", ()
    again = new_id()
    begun = _draft(again, new_id(), answers, *defects)
    assert await refusal(database, org_id, *begun) is None
    away = await refusal(database, org_id, _submitted(again), elsewhere)
    assert away == "inspection_forms_asked"


async def test_a_form_is_submitted_now(database: DatabaseUnderTest, org_id: UUID) -> None:
    form_id = new_id()
    assert await refusal(database, org_id, *_draft(form_id, new_id(), _PASSED)) is None
    earlier = _at(_submitted(form_id), "submitted_at")
    assert await refusal(database, org_id, earlier) == "inspection_forms_dated"


def _file(file_id: UUID, media_type: str = "image/png", **columns: UUID) -> Statement:
    names = "".join(f", {name}" for name in columns)
    return (
        "INSERT INTO attachments (org_id, id, file_name, media_type, size_bytes, sha256, created_by"
        f"{names}) SELECT org_id, %s, 'x', %s, 1, sha256('x'), id{', %s' * len(columns)}"
        " FROM users LIMIT 1",
        (file_id, media_type, *columns.values()),
    )


async def test_the_photos_of_a_form_are_images_that_it_names(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    site_id, photo, other, note = (new_id() for _ in range(4))
    site, files = (
        insert_named("sites", site_id),
        [
            _file(photo, site_id=site_id),
            _file(other, site_id=site_id),
            _file(note, "text/plain", site_id=site_id),
        ],
    )
    assert await refusal(database, org_id, site, *files) is None

    def names(*file_ids: UUID) -> dict[str, Any]:
        return _PASSED | {"front": {"value": [format_id("att", each) for each in file_ids]}}

    def kept(form_id: UUID, *file_ids: UUID) -> Statement:
        statement = "INSERT INTO inspection_photos SELECT current_org_id(), %s, unnest(%s::uuid[])"
        return statement, (form_id, list(file_ids))

    for named, stored, wanted in (
        ([photo], [], "inspection_forms_photos"),
        ([photo, other], [photo], "inspection_forms_photos"),
        ([photo], [photo, other], "inspection_photos_named"),
        ([photo, note], [photo, note], "inspection_photos_named"),
        ([photo, other], [photo, other], None),
    ):
        form_id = new_id()
        done = [*_draft(form_id, new_id(), names(*named)), _submitted(form_id)]
        assert await refusal(database, org_id, *done, kept(form_id, *stored)) == wanted
    later = await refusal(database, org_id, kept(form_id, note))
    assert later == "inspection_photos_named"
    draft = new_id()
    begun = _draft(draft, new_id(), names(photo))
    assert await refusal(database, org_id, *begun, kept(draft, photo)) == "inspection_photos_named"


def test_an_id_is_written_as_the_api_writes_it(database: DatabaseUnderTest) -> None:
    ids = [new_id(), UUID(int=0), UUID(int=2**128 - 1)]
    found = database.run("admin", "SELECT id_text('att', unnest(%s::uuid[]))", (ids,))
    assert [text for (text,) in found] == [format_id("att", each) for each in ids]


# Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ("started", None),
        ("cannot_complete", None),
        ("completed", "work_orders_fixed"),
        ("closed", "work_orders_fixed"),
        ("cancelled", "work_orders_fixed"),
    ],
)
async def test_files_of_an_order_that_is_over_stay(
    database: DatabaseUnderTest, org_id: UUID, state: str, wanted: str | None
) -> None:
    order_id, file_id = order_in(database, org_id, state, assigned=True), new_id()
    file = _file(file_id, work_order_id=order_id)
    assert await refusal(database, org_id, file) is None
    gone = "DELETE FROM attachments WHERE id = %s", (file_id,)
    assert await refusal(database, org_id, gone) == wanted


async def test_bytes_and_copies_of_a_file_are_written_with_it(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    site_id, file_id = new_id(), new_id()
    made = [insert_named("sites", site_id), _file(file_id, site_id=site_id)]

    def piece(number: int) -> Statement:
        statement = "INSERT INTO attachment_pieces SELECT current_org_id(), %s, %s, 'x'"
        return statement, (file_id, number)

    copy = (
        "INSERT INTO photo_copies SELECT current_org_id(), %s, 'full', 'image/png', 1, 1,"
        " sha256('x'), 'x'",
        (file_id,),
    )
    assert await refusal(database, org_id, *made, piece(0)) is None
    for later in (piece(1), copy):
        assert await refusal(database, org_id, later) == "attachments_stay"


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
