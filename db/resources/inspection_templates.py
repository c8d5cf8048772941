"""Templates of inspections, and their versions, which never change."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import PageRows, read_page
from db.core.table import Table


class InspectionTemplate(NamedTuple):
    """One row, with its newest version.

    sections: objects with title and questions (`operations.inspections.answers.Question`).
    questions: how many.
    """

    id: UUID
    name: str
    version: int
    sections: Sequence[Mapping[str, Any]]
    questions: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class ListedTemplate(NamedTuple):
    """One row as a list has it, without the sections."""

    id: UUID
    name: str
    version: int
    questions: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


class TemplateVersion(NamedTuple):
    """One version."""

    version: int
    name: str
    questions: int
    created_by: UUID
    created_at: datetime


class TemplateVersionKey(NamedTuple):
    """The place of a version in the list of its template: newest first."""

    version: int


_JOIN_VERSION = (
    "JOIN inspection_template_versions AS newest ON newest.org_id = inspection_templates.org_id"
    " AND newest.template_id = inspection_templates.id"
    " AND newest.version = inspection_templates.version"
)
inspection_templates = Table(
    "inspection_templates",
    InspectionTemplate,
    computed={"sections": "newest.sections", "questions": "newest.questions"},
    joins=_JOIN_VERSION,
)
listed_templates = Table(
    "inspection_templates",
    ListedTemplate,
    computed={"questions": "newest.questions"},
    joins=_JOIN_VERSION,
    has_row_count=True,
)


async def insert_version(conn: Connection, template: InspectionTemplate, created_by: UUID) -> None:
    """Insert the version that the template has now."""
    await conn.execute(
        """
        INSERT INTO inspection_template_versions
               (org_id, template_id, version, name, sections, questions, created_by, created_at)
        VALUES (current_org_id(), %(id)s, %(version)s, %(name)s, %(sections)s, %(questions)s,
                %(created_by)s, %(updated_at)s)
        """,
        template._asdict() | {"sections": Jsonb(template.sections), "created_by": created_by},
    )


async def find_version(
    conn: Connection, template_id: UUID, version: int
) -> InspectionTemplate | None:
    """Return a template as it was in a version, soft-deleted or not; None where there is none."""
    async with conn.cursor(row_factory=args_row(InspectionTemplate)) as cursor:
        await cursor.execute(
            """
            SELECT template.id, past.name, past.version, past.sections, past.questions,
                   template.created_at, past.created_at, template.deleted_at
              FROM inspection_templates AS template
              JOIN inspection_template_versions AS past
                ON past.org_id = template.org_id AND past.template_id = template.id
             WHERE template.id = %s AND past.version = %s
            """,
            (template_id, version),
        )
        return await cursor.fetchone()


async def versions(
    conn: Connection,
    template_id: UUID,
    *,
    after: TemplateVersionKey | None,
    limit: int,
    offset: int,
) -> PageRows[TemplateVersion]:
    """Return a page of a template's versions, newest first."""
    return await read_page(
        conn,
        TemplateVersion,
        sql.SQL("""
        SELECT version, name, questions, created_by, created_at
          FROM inspection_template_versions
         WHERE template_id = %(template)s AND version < %(before)s
         ORDER BY version DESC LIMIT %(limit)s OFFSET %(offset)s
        """),
        {
            "template": template_id,
            "before": 2**31 - 1 if after is None else after.version,
            "limit": limit,
            "offset": offset,
        },
    )


async def count_versions(conn: Connection, template_id: UUID) -> int:
    """Count the versions of a template."""
    return await value_of(
        conn,
        "SELECT count(*) FROM inspection_template_versions WHERE template_id = %s",
        (template_id,),
    )
