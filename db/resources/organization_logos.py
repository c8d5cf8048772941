"""The logo of an organization, as copies; `organizations.logo_sha256` is written with it."""

from typing import NamedTuple

from psycopg.rows import args_row

from db.core.connect import Connection


class OrganizationLogo(NamedTuple):
    """One row. thumb: a small JPEG."""

    media_type: str
    width_px: int
    height_px: int
    content: bytes
    thumb: bytes


async def find(conn: Connection) -> OrganizationLogo | None:
    """Return the tenant's logo; None where there is none."""
    async with conn.cursor(row_factory=args_row(OrganizationLogo), binary=True) as cursor:
        await cursor.execute(
            "SELECT media_type, width_px, height_px, content, thumb FROM organization_logos"
        )
        return await cursor.fetchone()


async def write(conn: Connection, logo: OrganizationLogo) -> None:
    """Write the tenant's logo in place of the one before. The organization's row is locked."""
    await conn.execute(
        """
        INSERT INTO organization_logos
            (org_id, media_type, width_px, height_px, content, thumb)
        VALUES (current_org_id(), %(media_type)s, %(width_px)s, %(height_px)s, %(content)b,
                %(thumb)b)
        ON CONFLICT (org_id) DO UPDATE
           SET media_type = excluded.media_type, width_px = excluded.width_px,
               height_px = excluded.height_px, content = excluded.content, thumb = excluded.thumb
        """,
        logo._asdict(),
    )
    await conn.execute(
        "UPDATE organizations SET logo_sha256 = sha256(%b), updated_at = clock_timestamp()",
        (logo.content,),
    )


async def delete(conn: Connection) -> None:
    """Remove the tenant's logo. The organization's row is locked."""
    await conn.execute("DELETE FROM organization_logos")
    await conn.execute(
        "UPDATE organizations SET logo_sha256 = NULL, updated_at = clock_timestamp()"
    )
