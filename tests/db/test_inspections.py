"""Inspection forms as they are stored: the moves of the table, and what was submitted stays."""

from typing import get_args
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation, ForeignKeyViolation, InsufficientPrivilege

from db.core.ids import new_id
from operations.inspections.states import MOVES, State
from tests.db.rows import transaction
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

WAY: dict[State, tuple[State, ...]] = {
    "draft": (),
    "submitted": ("submitted",),
    "superseded": ("submitted", "superseded"),
}
SUBMITTED = "submitted_by = created_by, submitted_at = coalesce(submitted_at, now())"
WITH: dict[State, str] = {
    "draft": "submitted_by = NULL, submitted_at = NULL, superseded_by_id = NULL",
    "submitted": f"{SUBMITTED}, superseded_by_id = NULL",
    "superseded": f"{SUBMITTED}, superseded_by_id = id",
}
_SECTIONS = '[{"title": "x", "questions": [{"id": "a", "type": "text", "label": "x"}]}]'


@pytest.fixture
async def crew(database: DatabaseUnderTest) -> Crew:
    """A new organization, acting as the application's role."""
    return Crew(await Tenant.create(database))


def to(state: State) -> str:
    """Return the statement that brings every form to a state."""
    return f"UPDATE inspection_forms SET state = '{state}', {WITH[state]}"


async def form(crew: Crew, state: State = "draft") -> UUID:
    """Return a form of a new template, in a state."""
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
    with psycopg.connect(crew.tenant.database.url("admin")) as conn:
        conn.execute("SET session_replication_role = replica")  # no triggers
        for step in WAY[state]:
            conn.execute(f"{to(step)} WHERE id = %s".encode(), (form_id,))
    return form_id


@pytest.mark.parametrize("then", get_args(State))
@pytest.mark.parametrize("state", get_args(State))
async def test_the_database_lets_through_the_moves_of_the_table_alone(
    database: DatabaseUnderTest, crew: Crew, state: State, then: State
) -> None:
    await form(crew, state)
    change = f"UPDATE inspection_forms SET state = '{then}'" if state == then else to(then)
    refused = None
    async with transaction(database, "opsc_app", crew.tenant.org_id) as conn:
        try:  # whatever else it then wants
            async with conn.transaction(force_rollback=True):
                await conn.execute(change.encode())
        except CheckViolation as error:
            refused = error.diag.constraint_name
    ways = {(each.state, each.then) for each in MOVES}
    assert refused == (None if state == then or (state, then) in ways else "inspection_forms_moves")


async def test_a_form_and_its_correction_name_each_other(
    database: DatabaseUnderTest, crew: Crew
) -> None:
    form_id, first, second = await form(crew, "submitted"), new_id(), new_id()
    for correction_id in (first, second):
        await crew.execute(
            "INSERT INTO inspection_forms (org_id, id, template_id, template_version, state,"
            " answers, defects, created_by, supersedes_id) SELECT org_id, %s, template_id, 1,"
            " 'draft', '{}', '[]', created_by, id FROM inspection_forms WHERE id = %s",
            (correction_id, form_id),
        )

    async def refusal(*changes: tuple[UUID, str]) -> str | None:
        try:
            async with transaction(database, "opsc_app", crew.tenant.org_id) as conn:
                for changed_id, change in changes:
                    await conn.execute(
                        f"UPDATE inspection_forms SET {change} WHERE id = %s".encode(),
                        (changed_id,),
                    )
        except CheckViolation as error:
            return error.diag.constraint_name
        return None

    submitted = f"state = 'submitted', {SUBMITTED}"
    by_first = form_id, f"state = 'superseded', superseded_by_id = '{first}'"
    assert await refusal((first, submitted)) == "inspection_forms_corrected"
    assert await refusal(by_first) == "inspection_forms_corrected"
    assert await refusal((second, submitted), by_first) == "inspection_forms_corrected"
    assert await refusal((first, submitted), by_first) is None
    by_second = form_id, f"superseded_by_id = '{second}'"
    assert await refusal((second, submitted)) == "inspection_forms_corrected"
    assert await refusal((second, submitted), by_second) == "inspection_forms_stay"


async def test_a_form_begins_as_a_draft(crew: Crew) -> None:
    await form(crew)
    with pytest.raises(CheckViolation, match="cannot begin as submitted"):
        await crew.execute(
            "INSERT INTO inspection_forms (org_id, id, template_id, template_version, state,"
            " answers, defects, created_by, submitted_by, submitted_at)"
            " SELECT org_id, %s, template_id, 1, 'submitted', '{}', '[]', created_by, created_by,"
            " now() FROM inspection_forms",
            (new_id(),),
        )


@pytest.mark.parametrize(
    "change", ["answers = '{\"a\": 1}'", "submitted_at = now()", "asset_id = id"]
)
@pytest.mark.parametrize("state", ["submitted", "superseded"])
async def test_what_was_submitted_stays(crew: Crew, state: State, change: str) -> None:
    await form(crew, state)
    with pytest.raises(CheckViolation) as refused:
        await crew.execute(f"UPDATE inspection_forms SET {change}")
    assert refused.value.diag.constraint_name == "inspection_forms_stay"


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
