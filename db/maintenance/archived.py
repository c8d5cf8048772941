"""The objects of the archive that a database needs, all organizations'."""

from db.archive.archived_days import ArchivedDay
from db.maintenance.contents import SyncConnection


def needed_objects(conn: SyncConnection) -> list[ArchivedDay]:
    """Return them in the order of organizations and days; none of a database that is older."""
    row = conn.execute("SELECT to_regclass('archived_days') IS NOT NULL").fetchone()
    if row != (True,):
        return []
    rows = conn.execute(
        "SELECT org_id, day, object_id, rows, bytes, sha256, footer_sha256 FROM archived_days"
        " ORDER BY org_id, day"
    )
    return [ArchivedDay(*row) for row in rows]
