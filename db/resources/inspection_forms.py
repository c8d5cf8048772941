"""Forms of inspections: answers to the questions of one version of a template.

A submitted form never changes but for its state.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.core.table import Table
from operations.inspections.states import State


class ListedInspection(NamedTuple):
    """One row as a list has it, without answers and defects.

    template_name: as the version has it. user_id: of the employee. failed_items: how many questions
    were answered `fail`.
    """

    id: UUID
    template_id: UUID
    template_version: int
    template_name: str
    asset_id: UUID | None
    site_id: UUID | None
    employee_id: UUID | None
    work_order_id: UUID | None
    state: State
    failed_items: int
    supersedes_id: UUID | None
    superseded_by_id: UUID | None
    created_by: UUID
    submitted_by: UUID | None
    submitted_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Inspection(NamedTuple):
    """One row with everything.

    answers: by question, objects with value and note. defects: objects with question_id, label and
    note. orders: by question, the work order that was made of its defect. sections: of the version
    of the template.
    """

    id: UUID
    template_id: UUID
    template_version: int
    template_name: str
    asset_id: UUID | None
    site_id: UUID | None
    employee_id: UUID | None
    work_order_id: UUID | None
    state: State
    answers: Mapping[str, Any]
    defects: Sequence[Mapping[str, Any]]
    failed_items: int
    supersedes_id: UUID | None
    superseded_by_id: UUID | None
    created_by: UUID
    submitted_by: UUID | None
    submitted_at: datetime | None
    created_at: datetime
    updated_at: datetime
    user_id: UUID | None
    orders: Mapping[str, str]
    sections: Sequence[Mapping[str, Any]]


def _since(conditions: Conditions, at: datetime) -> None:
    conditions.add("inspection_forms.created_at >= %(since)s", since=at)


def _until(conditions: Conditions, at: datetime) -> None:
    conditions.add("inspection_forms.created_at < %(until)s", until=at)


def _status(conditions: Conditions, status: str) -> None:
    conditions.add("inspection_forms.state = %(status)s", status=status)


def _work_order(conditions: Conditions, order_id: UUID) -> None:
    conditions.add("inspection_forms.work_order_id = %(work_order_id)s", work_order_id=order_id)


def _template(conditions: Conditions, template_id: UUID) -> None:
    conditions.add("inspection_forms.template_id = %(template_id)s", template_id=template_id)


# As in the indexes `inspection_forms_failed` and `inspection_forms_passed`.
_RESULTS: Mapping[str, LiteralString] = {
    "failed": "inspection_forms.state <> 'draft' AND inspection_forms.defects <> '[]'",
    "passed": "inspection_forms.state <> 'draft' AND inspection_forms.defects = '[]'",
}


def _result(conditions: Conditions, result: str) -> None:
    conditions.add(_RESULTS[result])


_FILTERS = {
    "since": _since,
    "until": _until,
    "status": _status,
    "result": _result,
    "template_id": _template,
    "work_order_id": _work_order,
}
_JOIN_VERSION = (
    "JOIN inspection_template_versions AS used ON used.org_id = inspection_forms.org_id"
    " AND used.template_id = inspection_forms.template_id"
    " AND used.version = inspection_forms.template_version"
)
_FAILED_ITEMS = "jsonb_array_length(inspection_forms.defects)"

listed_inspections = Table(
    "inspection_forms",
    ListedInspection,
    computed={"template_name": "used.name", "failed_items": _FAILED_ITEMS},
    joins=_JOIN_VERSION,
    filters=_FILTERS,
    has_row_count=True,
)
inspection_forms = Table(
    "inspection_forms",
    Inspection,
    jsonb=["answers", "defects"],
    fixed=["template_id", "template_version", "supersedes_id", "created_by"],
    computed={
        "template_name": "used.name",
        "failed_items": _FAILED_ITEMS,
        "user_id": "employees.user_id",
        "orders": """(
            SELECT coalesce(jsonb_object_agg(of.question_id, of.id), '{}') FROM work_orders of
             WHERE of.org_id = inspection_forms.org_id
               AND of.inspection_form_id = inspection_forms.id)""",
        "sections": "used.sections",
    },
    joins=f"{_JOIN_VERSION} LEFT JOIN employees ON employees.org_id = inspection_forms.org_id"
    " AND employees.id = inspection_forms.employee_id",
)


async def image_ids(conn: Connection, attachment_ids: Collection[UUID]) -> Mapping[UUID, bool]:
    """Return of those attachments that are there whether they are images. They are locked: of forms
    that are submitted at once with one photo, the first has it.
    """
    cursor = await conn.execute(
        "SELECT id, starts_with(media_type, 'image/') FROM attachments"
        " WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE",
        (list(attachment_ids),),
    )
    return dict(await cursor.fetchall())


_OF_OTHERS = """
SELECT DISTINCT attachment_id FROM inspection_photos
 WHERE attachment_id = ANY (%(attachment_ids)s) AND form_id NOT IN (
       WITH RECURSIVE corrected (id) AS (
           SELECT id FROM inspection_forms WHERE id = %(corrects_id)s
            UNION
           SELECT form.supersedes_id FROM corrected
             JOIN inspection_forms AS form ON form.id = corrected.id
            WHERE form.supersedes_id IS NOT NULL)
       SELECT id FROM corrected)
"""


async def photos_of_others(
    conn: Connection, attachment_ids: Collection[UUID], corrects_id: UUID | None
) -> set[UUID]:
    """Return those attachments that submitted forms show, but for the form that is corrected and
    those that it corrects.
    """
    values = {"attachment_ids": list(attachment_ids), "corrects_id": corrects_id}
    cursor = await conn.execute(_OF_OTHERS, values)
    return {attachment_id for (attachment_id,) in await cursor.fetchall()}


_INSERT_PHOTOS = """
INSERT INTO inspection_photos (org_id, form_id, attachment_id)
SELECT current_org_id(), %s, unnest(%s::uuid[])
"""


async def insert_photos(conn: Connection, form_id: UUID, attachment_ids: Collection[UUID]) -> None:
    """Keep the attachments of a submitted form from being deleted.

    Raises psycopg.errors.ForeignKeyViolation for an attachment that is gone.
    """
    await conn.execute(_INSERT_PHOTOS, (form_id, sorted(set(attachment_ids))))


async def is_photo(conn: Connection, attachment_id: UUID) -> bool:
    """Return whether a submitted form shows the attachment."""
    return await value_of(
        conn,
        "SELECT EXISTS (SELECT FROM inspection_photos WHERE attachment_id = %s)",
        (attachment_id,),
    )
