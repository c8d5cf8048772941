"""An inspection form as its report (`api.documents.inspection_pdf`): names, photos, signatures."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID
from zoneinfo import ZoneInfo

from api.documents.inspection_pdf import (
    MAX_PICTURE_BYTES,
    MAX_PRINTED_PHOTOS,
    InspectionReport,
)
from api.http.encoding import id_text, optional_id_text
from api.photos.copier import PhotoError
from api.photos.copying import MAX_COPY_BYTES
from api.request.access import Access
from api.resources.organization_logo import letterhead_of
from api.resources.sites import sites
from db.core.connect import Connection
from db.resources import organizations, photo_copies
from db.resources.inspection_forms import Inspection
from db.resources.names import NamedTable, names_of
from operations.inspections.answers import Defect, photo_ids, questions_of
from telemetry.ids import parse_id


async def report_of(conn: Connection, row: Inspection, public_url: str) -> InspectionReport:
    """Return the report of a form, without its pictures: `with_pictures` has to follow."""
    organization = await organizations.find(conn)
    site = None if row.site_id is None else await sites.find(conn, row.site_id)
    return InspectionReport(
        form_id=id_text("insp", row.id),
        organization=organization.name,
        letterhead=await letterhead_of(conn, organization),
        timezone=ZoneInfo(organization.timezone),
        template_name=row.template_name,
        template_version=row.template_version,
        state=row.state,
        asset=await _name(conn, "assets", row.asset_id),
        site="" if site is None else site.name,
        address="" if site is None else site.address or "",
        employee=await _name(conn, "employees", row.employee_id),
        submitted_by=await _name(conn, "users", row.submitted_by),
        submitted_at=row.submitted_at,
        corrects_id=optional_id_text("insp", row.supersedes_id) or "",
        corrected_by_id=optional_id_text("insp", row.superseded_by_id) or "",
        changed_at=row.updated_at,
        sections=row.sections,
        answers=row.answers,
        defects=[Defect(**defect) for defect in row.defects],
        photos={},
        photos_url=f"{public_url.rstrip('/')}/inspection-photos/{id_text('insp', row.id)}",
        signatures={},
    )


async def with_pictures(access: Access, report: InspectionReport) -> InspectionReport:
    """Return the report with its signatures, and with its photos while there is room for them.
    Raises TooManyOfOne, TooManyOfAll.
    """
    signatures = await _signatures(access, report)
    room = MAX_PICTURE_BYTES - sum(map(len, signatures.values()))
    photos: dict[str, bytes] = {}
    asked = photo_ids(questions_of(report.sections), report.answers)
    ids = list(dict.fromkeys(text for _, text in asked))
    left_out = ids[MAX_PRINTED_PHOTOS:]
    for place, text in enumerate(ids[:MAX_PRINTED_PHOTOS]):
        content = await _print_copy(access, parse_id("att", text))
        if content is None:
            continue
        room -= len(content)
        if room < 0:
            left_out = ids[place:]
            break
        photos[text] = content
    return replace(report, signatures=signatures, photos=photos, left_out=frozenset(left_out))


async def _print_copy(access: Access, attachment_id: UUID) -> bytes | None:
    """Return a photo as it is printed; None where there is no copy of it, or none can be made."""

    async def read() -> bytes:
        async with access.transaction() as conn:
            return await photo_copies.read(conn, attachment_id, "full", 0, MAX_COPY_BYTES)

    try:
        return (await access.state.photos.print_copy(access.caller.org_id, read)).content
    except PhotoError:
        return None


async def _signatures(access: Access, report: InspectionReport) -> Mapping[str, bytes]:
    """Return the signatures that can be shown, decoded and written anew. They are what a client
    sent, so nothing else decodes them. Raises TooManyOfOne, TooManyOfAll.
    """
    found: dict[str, bytes] = {}
    for question in questions_of(report.sections):
        answer = report.answers.get(question.id)
        if question.type != "signature" or answer is None:
            continue
        try:
            png = base64.b64decode(answer["value"])
            copy = await access.state.photos.signature(access.caller.org_id, png)
        except PhotoError:
            continue  # the report says that it cannot be shown
        found[question.id] = copy.content
    return found


async def _name(conn: Connection, table: NamedTable, row_id: UUID | None) -> str:
    return "" if row_id is None else (await names_of(conn, table, [row_id])).get(row_id, "")
