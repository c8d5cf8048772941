"""The check of a form's answers, and its submission: state, photos, correction and event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from api.http.encoding import id_text, optional_id_text
from api.http.problems import bad_field
from api.request.access import Access
from api.request.signatures import decoded_signature
from api.resources.inspections.templates import refuse_faults
from db.core.connect import Connection
from db.core.ids import new_id
from db.history import events
from db.history.events import Event
from db.resources.inspection_forms import (
    Inspection,
    image_ids,
    insert_photos,
    inspection_forms,
    photos_of_others,
)
from geofence.event_data.inspections import INSPECTION_SUBMITTED, SubmittedInspection
from operations.inspections.answers import (
    FormFault,
    Question,
    answer_faults,
    defects_of,
    photo_ids,
    questions_of,
    signatures_in,
)
from operations.inspections.states import INSPECTIONS
from operations.signatures import SignatureError
from telemetry.ids import IdError, parse_id


class CheckedAnswers(NamedTuple):
    """Answers without a fault. photos: the ids of their attachments."""

    answers: Mapping[str, Any]
    defects: Sequence[Mapping[str, Any]]
    photos: frozenset[UUID]

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the form."""
        return {"answers": self.answers, "defects": self.defects}


async def undrawn_signatures(access: Access, answers: Mapping[str, Any]) -> Mapping[str, str]:
    """Decode what looks like a drawn signature, and return why those that cannot be shown cannot,
    by the ids of their questions. To be called before a connection is taken. Raises Problem (429,
    503).
    """
    undrawn: dict[str, str] = {}
    for question_id, text in signatures_in(answers):
        try:
            await decoded_signature(access.state, access.caller.org_id, text)
        except SignatureError as error:
            undrawn[question_id] = f"must be a drawing: {error}"
    return undrawn


async def checked_answers(
    conn: Connection,
    sections: Sequence[Mapping[str, Any]],
    answers: Mapping[str, Any],
    *,
    undrawn: Mapping[str, str],
    is_complete: bool,
    corrects_id: UUID | None,
) -> CheckedAnswers:
    """Check answers against the sections of a version. undrawn: as `undrawn_signatures` returns
    them; nothing for stored answers. corrects_id: the form that this one corrects. Raises Problem
    (422) with all faults.
    """
    questions = questions_of(sections)
    photos, faults = await _photos(conn, questions, answers, corrects_id)
    faults += [
        FormFault(f"/answers/{each.id}/value", undrawn[each.id])
        for each in questions
        if each.type == "signature" and each.id in undrawn
    ]
    refuse_faults([*answer_faults(questions, answers, is_complete=is_complete), *faults])
    defects = [defect._asdict() for defect in defects_of(questions, answers)]
    return CheckedAnswers(answers, defects, photos)


async def _photos(
    conn: Connection,
    questions: Sequence[Question],
    answers: Mapping[str, Any],
    corrects_id: UUID | None,
) -> tuple[frozenset[UUID], list[FormFault]]:
    """Return the attachments of all photos, and the ids that name no image, or a photo of another
    form.
    """
    ids: dict[str, UUID] = {}
    faults: list[FormFault] = []
    for pointer, text in photo_ids(questions, answers):
        try:
            ids[pointer] = parse_id("att", text)
        except IdError:
            faults.append(FormFault(pointer, "must be the id of an attachment, like att_..."))
    is_image = await image_ids(conn, ids.values()) if ids else {}
    others = await photos_of_others(conn, ids.values(), corrects_id) if ids else set()
    for pointer, attachment_id in ids.items():
        if attachment_id not in is_image:
            faults.append(FormFault(pointer, "There is no such attachment."))
        elif not is_image[attachment_id]:
            faults.append(FormFault(pointer, "must be the id of an image: this is another file"))
        elif attachment_id in others:
            faults.append(FormFault(pointer, "is a photo of another form: a photo serves one"))
    return frozenset(ids.values()), faults


def check_own(access: Access, row: Inspection) -> None:
    """Raise Problem (403) where a technician neither made the form nor is its employee."""
    if not access.is_own(row.created_by):
        access.check_own(row.user_id, "inspections")


def check_correction(access: Access, corrected: Inspection, template_id: UUID) -> None:
    """Raise Problem (403, 422) or IllegalMoveError for a form that the new one cannot correct."""
    check_own(access, corrected)
    INSPECTIONS.move(corrected.state, "supersede")
    if corrected.template_id != template_id:
        raise bad_field("/supersedes_id", "must be a form of the same template")


async def submit(
    conn: Connection, access: Access, row: Inspection, checked: CheckedAnswers, at: datetime
) -> None:
    """Submit a draft. Raises IllegalMoveError."""
    state, by = INSPECTIONS.move(row.state, "submit"), access.caller.user_id
    row = row._replace(state=state, submitted_by=by, submitted_at=at, updated_at=at)
    await inspection_forms.update(conn, row._replace(**checked.columns))
    if checked.photos:
        await insert_photos(conn, row.id, checked.photos)
    if row.supersedes_id is not None:
        await _supersede(conn, row.supersedes_id, row)
    data = msgspec.json.encode(_event_data(row, checked)).decode()
    event = Event(access.caller.org_id, new_id(), INSPECTION_SUBMITTED, at, data)
    await events.insert(conn, [event])


async def _supersede(conn: Connection, form_id: UUID, by: Inspection) -> None:
    corrected = await inspection_forms.get(conn, form_id, lock=True)
    state = INSPECTIONS.move(corrected.state, "supersede")
    changed = corrected._replace(state=state, superseded_by_id=by.id, updated_at=by.updated_at)
    await inspection_forms.update(conn, changed)


def _event_data(row: Inspection, checked: CheckedAnswers) -> SubmittedInspection:
    assert row.submitted_by is not None
    return SubmittedInspection(
        form_id=id_text("insp", row.id),
        template_id=id_text("itpl", row.template_id),
        template_name=row.template_name,
        template_version=row.template_version,
        asset_id=optional_id_text("ast", row.asset_id),
        site_id=optional_id_text("sit", row.site_id),
        employee_id=optional_id_text("emp", row.employee_id),
        work_order_id=optional_id_text("wo", row.work_order_id),
        supersedes_id=optional_id_text("insp", row.supersedes_id),
        submitted_by=id_text("usr", row.submitted_by),
        result="failed" if checked.defects else "passed",
        failed_items=[dict(each) for each in checked.defects],
    )
