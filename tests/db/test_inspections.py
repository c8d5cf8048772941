"""Inspection forms as they are stored: nothing of them is removed."""

from uuid import UUID

import pytest
from psycopg.errors import ForeignKeyViolation, InsufficientPrivilege

from db.core.ids import new_id
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

_SECTIONS = '[{"title": "x", "questions": [{"id": "a", "type": "text", "label": "x"}]}]'


@pytest.fixture
async def crew(database: DatabaseUnderTest) -> Crew:
    """A new organization, acting as the application's role."""
    return Crew(await Tenant.create(database))


async def form(crew: Crew) -> UUID:
    """Return a draft of a new template."""
    template_id, form_id = new_id(), new_id()
    await crew.execute(
        "WITH made AS (INSERT INTO inspection_templates (org_id, id, name, version)"
        " VALUES (current_org_id(), %s, 'x', 1) RETURNING org_id, id)"
        " INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections,"
        " questions, created_by) SELECT org_id, made.id, 1, 'x', %s, 1, users.id"
        " FROM made JOIN users USING (org_id) LIMIT 1",
        (template_id, _SECTIONS),
    )
    await crew.execute(
        "INSERT INTO inspection_forms (org_id, id, template_id, template_version, state, answers,"
        " defects, created_by)"
        " SELECT org_id, %s, %s, 1, 'draft', '{}', '[]', id FROM users LIMIT 1",
        (form_id, template_id),
    )
    return form_id


async def test_forms_versions_and_photos_are_not_removed(crew: Crew) -> None:
    await form(crew)
    for statement in (
        "DELETE FROM inspection_forms",
        "DELETE FROM inspection_photos",
        "DELETE FROM inspection_template_versions",
        "UPDATE inspection_template_versions SET sections = '[]'",
    ):
        with pytest.raises(InsufficientPrivilege):
            await crew.execute(statement)


async def test_no_photo_is_kept_that_is_not_there(crew: Crew) -> None:
    form_id = await form(crew)
    with pytest.raises(ForeignKeyViolation):
        await crew.execute(
            "INSERT INTO inspection_photos VALUES (current_org_id(), %s, %s)", (form_id, new_id())
        )
