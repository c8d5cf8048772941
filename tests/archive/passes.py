"""Passes of the archive, as `opsc deliver` makes them."""

import asyncio
import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

from archive.mover import Mover, MoverLimits, Passed
from archive.store import Store, StoreUrl
from db.core.connect import connect
from tests.servers import DatabaseUnderTest
from tests.webhooks.poison.guards import guard_at

FORK = multiprocessing.get_context("forkserver")  # threads are running in tests
FORK.set_forkserver_preload(["archive.mover", "archive.lookup", "tests.archive.erasures"])
AFTER_DAYS = 31
QUICK = MoverLimits(rest_s=0)


def folder_store(folder: Path) -> Store:
    return Store(StoreUrl.read(folder.as_uri()))


async def archive(
    database: DatabaseUnderTest,
    store: Store,
    *,
    now: datetime | None = None,
    keep_days: int | None = None,
    seeks_orphans: bool = False,
    limits: MoverLimits = QUICK,
) -> Passed:
    """Make one pass."""
    mover = Mover(store, guard_at(database.url("opsc_deliver")), AFTER_DAYS, keep_days, limits)
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        passed = await mover.pass_over(
            conn, now or datetime.now(UTC), asyncio.Event(), seeks_orphans=seeks_orphans
        )
    assert passed is not None
    return passed


def files(folder: Path) -> list[Path]:
    """Return all files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
