"""The part of the memory that a process keeps current while another process is the leader.

The registry follows the revision, so that a successor reads only what has changed since. States of
assets change with each batch: they are read once the lease is ours.

Rows are removed without a revision, and whoever removes them fences the leader: what was read under
an epoch holds for the leader who follows that epoch, and for nobody later.
"""

import asyncio
import gc

from db.core import leases, registry_revision
from db.core.connect import Connection
from db.ingest.registry import changes_since, unchanging
from ingest.recovery import garbage_left_alone
from ingest.registry.registry import Registry


class Standby:
    """A registry that is kept current before we are the leader."""

    def __init__(self, lease: str) -> None:
        self._lease = lease
        self._registry = Registry()
        self._epoch = -1

    async def refresh(self, conn: Connection) -> None:
        """Bring the registry up to date."""
        with garbage_left_alone():
            async with unchanging(conn):
                epoch = await leases.epoch(conn, self._lease)
                if epoch != self._epoch:
                    self._registry, self._epoch = Registry(), epoch
                known = self._registry.revision
                if await registry_revision.read(conn) == known:
                    return
                changes = await changes_since(conn, known)
            await asyncio.to_thread(self._registry.apply, changes)
        if known < 0:
            gc.freeze()  # it stays: looking through it would keep a takeover waiting

    def registry_of(self, epoch: int) -> Registry:
        """Return the registry for the leader of this epoch; one that knows nothing if ours is
        outdated.
        """
        return self._registry if epoch == self._epoch + 1 else Registry()
