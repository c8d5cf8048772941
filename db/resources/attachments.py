"""Attachments: files of assets, sites, clients, employees, zones and work orders, and their bytes.

The bytes stand in rows of `PIECE_BYTES` each, under the same row-level security as everything else,
so they are written and deleted in the transaction of what they belong to, and saved with it.
`attachment_usage` holds how much an organization keeps.
"""

from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.core.table import Table

PIECE_BYTES = 262_144


class Attachment(NamedTuple):
    """One row. It belongs to exactly one thing.

    width_px, height_px: of the copy that a photo is shown by; None where there is none.
    """

    id: UUID
    asset_id: UUID | None
    site_id: UUID | None
    client_id: UUID | None
    employee_id: UUID | None
    zone_id: UUID | None
    work_order_id: UUID | None
    file_name: str
    media_type: str
    size_bytes: int
    sha256: bytes
    created_by: UUID
    created_at: datetime
    width_px: int | None
    height_px: int | None


def _signatures(conditions: Conditions, signatures: bool) -> None:
    """Add those with which somebody signed, or the others."""
    signed: LiteralString = (
        "EXISTS (SELECT FROM work_order_transitions AS signed"
        " WHERE signed.org_id = attachments.org_id"
        " AND signed.signature_attachment_id = attachments.id)"
    )
    conditions.add(signed if signatures else f"NOT {signed}")


def _readable_by(conditions: Conditions, user_id: UUID) -> None:
    """Add those that are of no employee, or of the user's own."""
    conditions.add(
        "(attachments.employee_id IS NULL OR attachments.employee_id IN ("
        "SELECT id FROM employees WHERE user_id = %(reader)s AND deleted_at IS NULL))",
        reader=user_id,
    )


attachments = Table(
    "attachments",
    Attachment,
    computed={"width_px": "shown.width_px", "height_px": "shown.height_px"},
    joins="LEFT JOIN photo_copies AS shown ON shown.org_id = attachments.org_id"
    " AND shown.attachment_id = attachments.id AND shown.size = 'full'",
    filters={"signatures": _signatures, "readable_by": _readable_by},
    has_row_count=True,
)


async def write_piece(conn: Connection, attachment_id: UUID, number: int, content: bytes) -> None:
    """Write piece `number`, from 0; all but the last have PIECE_BYTES."""
    await conn.execute(
        """
        INSERT INTO attachment_pieces (org_id, attachment_id, number, content)
        VALUES (current_org_id(), %s, %s, %b)
        """,
        (attachment_id, number, content),
    )


async def read(conn: Connection, attachment_id: UUID, begin: int, end: int) -> bytes:
    """Read bytes [begin, end) of a file; nothing where it is gone."""
    first, last = begin // PIECE_BYTES, (end - 1) // PIECE_BYTES
    cursor = await conn.execute(
        """
        SELECT content FROM attachment_pieces
         WHERE attachment_id = %s AND number BETWEEN %s AND %s ORDER BY number
        """,
        (attachment_id, first, last),
        binary=True,
    )
    pieces = b"".join([content for (content,) in await cursor.fetchall()])
    return pieces[begin - first * PIECE_BYTES : end - first * PIECE_BYTES]


async def delete(conn: Connection, attachment_id: UUID) -> bool:
    """Remove an attachment, its bytes and its copies. False where the tenant has none of it."""
    copies_bytes = await value_of(
        conn,
        "SELECT coalesce(sum(length(content)), 0) FROM photo_copies WHERE attachment_id = %s",
        (attachment_id,),
    )
    cursor = await conn.execute(
        "DELETE FROM attachments WHERE id = %s RETURNING size_bytes", (attachment_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    await conn.execute(
        "UPDATE attachment_usage SET files = files - 1, bytes = bytes - %s",
        (row[0] + copies_bytes,),
    )
    return True
