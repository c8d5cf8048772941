"""SQL as the application's role cannot forge inspections: the versions of their templates, their
answers and photos; nor change files.
"""

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.db.rules.proving import (
    Statement,
    insert_named,
    of_earlier,
    order_in,
    refusal,
)
from tests.servers import DatabaseUnderTest

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
    elsewhere = "CALL act_for(gen_random_uuid(), '')", ()
    again = new_id()
    begun = _draft(again, new_id(), answers, *defects)
    assert await refusal(database, org_id, *begun) is None
    away = await refusal(database, org_id, _submitted(again), elsewhere)
    assert away == "inspection_forms_asked"


async def test_a_form_is_submitted_now(database: DatabaseUnderTest, org_id: UUID) -> None:
    form_id = new_id()
    assert await refusal(database, org_id, *_draft(form_id, new_id(), _PASSED)) is None
    earlier = of_earlier(_submitted(form_id), "submitted_at")
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
    second = new_id()
    again = [*_draft(second, new_id(), names(photo)), _submitted(second), kept(second, photo)]
    assert await refusal(database, org_id, *again) == "inspection_photos_of_one_form"
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
