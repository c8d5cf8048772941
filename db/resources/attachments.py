"""Attachments: files of assets, sites, clients, employees, zones and work orders, and their bytes.

The bytes stand in rows of `PIECE_BYTES` each, under the same row-level security as everything else,
so they are written and deleted in the transaction of what they belong to, and saved with it.
`attachment_usage` holds how much an organization keeps.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table

PIECE_BYTES = 262_144


class Attachment(NamedTuple):
    """One row. It belongs to exactly one thing."""

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


attachments = Table("attachments", Attachment, has_row_count=True)


async def claim_room(conn: Connection, size_bytes: int) -> int:
    """Count a new file; how many bytes the tenant keeps with it. Others wait for the outcome."""
    return await value_of(
        conn,
        """
        INSERT INTO attachment_usage AS usage (org_id, files, bytes)
        VALUES (current_org_id(), 1, %s)
        ON CONFLICT (org_id) DO UPDATE
           SET files = usage.files + 1, bytes = usage.bytes + excluded.bytes
        RETURNING bytes
        """,
        (size_bytes,),
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


async def read_pieces(conn: Connection, attachment_id: UUID, first: int, last: int) -> bytes:
    """Read pieces `first` to `last`, joined; as many as there are."""
    cursor = await conn.execute(
        """
        SELECT content FROM attachment_pieces
         WHERE attachment_id = %s AND number BETWEEN %s AND %s ORDER BY number
        """,
        (attachment_id, first, last),
        binary=True,
    )
    return b"".join([content for (content,) in await cursor.fetchall()])


async def delete(conn: Connection, attachment_id: UUID) -> bool:
    """Remove an attachment and its bytes. False where the tenant has none of this id."""
    cursor = await conn.execute(
        "DELETE FROM attachments WHERE id = %s RETURNING size_bytes", (attachment_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    await conn.execute("UPDATE attachment_usage SET files = files - 1, bytes = bytes - %s", row)
    return True
