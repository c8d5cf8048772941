"""The upload of a track: its points go to ingest by the inbox, 1,000 in a transaction.

The inbox of the organization is kept short, so that devices' messages and others' do not wait for
a whole track.
"""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import numpy as np

from db.core.connect import Connection
from db.history.inbox import waiting_of_tenant
from db.resources.jobs import HeldJob
from db.resources.quotas import QuotaExceeded
from operations.jobs import Fault, Piece
from telemetry.formats.decode import ANCIENT_BEFORE_US
from telemetry.times import format_time, to_us
from telemetry.tracks import TraceError, Track, read_track
from use_cases.uploads import UploadedFile, cover, give
from webhooks.jobs.work import JobError, Work

_POINTS = 1_000
_MOST_WAITING = 5  # messages of the organization in the inbox


class _Upload:
    def __init__(self, org_id: UUID, track: Track, *, webhooks: bool) -> None:
        self._org_id, self._track, self._webhooks = org_id, track, webhooks
        self.total = len(track.points)

    async def piece(self, conn: Connection, job: HeldJob) -> Piece | None:
        if await waiting_of_tenant(conn, _MOST_WAITING) >= _MOST_WAITING:
            return None
        assert job.asset_id is not None  # an upload is of an asset
        times_us = self._track.points.rows["time_us"]
        now_us = to_us(datetime.now(UTC))
        is_credible = (times_us >= ANCIENT_BEFORE_US) & (times_us <= now_us)
        faults: list[Fault] = []
        if job.done == 0:
            faults += [Fault(message) for message in self._track.faults]
            await _cover(conn, job.asset_id, times_us[is_credible])
        rows = np.arange(job.done, min(job.done + _POINTS, self.total))
        faults += [
            Fault("The time lies before 2000 or in the future.", time=format_time(time_us))
            for time_us in times_us[rows[~is_credible[rows]]].tolist()
        ]
        points = self._track.points.take(rows[is_credible[rows]])
        given = await give(conn, self._org_id, job.asset_id, points, webhooks=self._webhooks)
        faults += given.faults
        return Piece(len(rows), given.written, given.known, given.conflicts, faults)


async def _cover(conn: Connection, asset_id: UUID, times_us: np.ndarray) -> None:
    try:
        await cover(conn, asset_id, times_us)
    except QuotaExceeded as error:
        message = f"The asset needs a tracker for the upload, and there is room for {error.limit}."
        raise JobError(message) from None


def prepare_upload(org_id: UUID, content: bytes) -> Work:
    """Read a track. Raises JobError."""
    stored = msgspec.msgpack.decode(content, type=UploadedFile)
    try:
        track = read_track(stored.form, stored.content)
        return _Upload(org_id, track, webhooks=stored.webhooks)
    except TraceError as error:
        text = str(error)
        raise JobError(f"{text[0].upper()}{text[1:]}.") from None
