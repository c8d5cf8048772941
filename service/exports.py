"""What `opsc deliver` tells the process that writes an export, on a line of its stdin."""

from uuid import UUID

import msgspec


class ExportTask(msgspec.Struct, frozen=True):
    """A claimed job, and where to read and write. It has secrets."""

    database_url: str
    archive_url: str
    org_id: UUID
    job_id: UUID
    claim: UUID
    lease_s: float
