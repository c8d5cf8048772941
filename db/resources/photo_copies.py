"""Copies of photos: `full`, which is what a download shows, and `thumb`.

They are written and deleted with their attachment, and count as what its organization keeps.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection

PhotoSize = Literal["full", "thumb"]


class StoredPhotoCopy(NamedTuple):
    """One row, without the bytes."""

    attachment_id: UUID
    media_type: str
    sha256: bytes
    size_bytes: int


async def insert(
    conn: Connection,
    attachment_id: UUID,
    size: PhotoSize,
    *,
    media_type: str,
    width_px: int,
    height_px: int,
    content: bytes,
) -> None:
    """Write a copy."""
    await conn.execute(
        """
        INSERT INTO photo_copies (org_id, attachment_id, size, media_type, width_px, height_px,
                                  sha256, content)
        VALUES (current_org_id(), %(attachment_id)s, %(size)s, %(media_type)s, %(width_px)s,
                %(height_px)s, sha256(%(content)b), %(content)b)
        """,
        {
            "attachment_id": attachment_id,
            "size": size,
            "media_type": media_type,
            "width_px": width_px,
            "height_px": height_px,
            "content": content,
        },
    )


async def find(conn: Connection, attachment_id: UUID, size: PhotoSize) -> StoredPhotoCopy | None:
    """Return a copy of an attachment; None where there is none."""
    async with conn.cursor(row_factory=args_row(StoredPhotoCopy)) as cursor:
        await cursor.execute(
            """
            SELECT attachment_id, media_type, sha256, length(content) FROM photo_copies
             WHERE attachment_id = %s AND size = %s
            """,
            (attachment_id, size),
        )
        return await cursor.fetchone()


async def read(
    conn: Connection, attachment_id: UUID, size: PhotoSize, begin: int, end: int
) -> bytes:
    """Read bytes [begin, end) of a copy; nothing where it is gone."""
    cursor = await conn.execute(
        """
        SELECT substring(content FROM %s FOR %s) FROM photo_copies
         WHERE attachment_id = %s AND size = %s
        """,
        (begin + 1, end - begin, attachment_id, size),
        binary=True,
    )
    row = await cursor.fetchone()
    return b"" if row is None else row[0]


async def thumbs(conn: Connection, attachment_ids: Collection[UUID]) -> dict[UUID, bytes]:
    """Return the thumbnails of those attachments that have one."""
    cursor = await conn.execute(
        """
        SELECT attachment_id, content FROM photo_copies
         WHERE attachment_id = ANY (%s) AND size = 'thumb'
        """,
        (list(attachment_ids),),
        binary=True,
    )
    return dict(await cursor.fetchall())
