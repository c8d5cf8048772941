"""Objects written, read back and compared, before anything names them. All of it blocks."""

import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from archive.errors import StoreError
from archive.store import Store
from db.archive.archived_days import ArchivedDay
from db.archive.moving import TrackerSummary


class Written(NamedTuple):
    """An object that is in the store, and what it has of each tracker."""

    made: ArchivedDay
    trackers: list[TrackerSummary]


def write(store: Store, made: ArchivedDay, groups: Callable[[], Iterator[Any]]) -> Written:
    """Write an object, read it back, and compare. Raises StoreError, OSError.

    made: without figures, which `Written` has. groups: the row groups, asked for twice.
    """
    from archive import objects

    try:
        with tempfile.TemporaryFile() as content:
            trackers = objects.write(content, made.org_id, made.day, groups())
            content.seek(0)
            store.write(made.path, content)
        sha256, size = store.sha256(made.path)
        found, footer_sha256 = opened(store, made._replace(footer_sha256=b""))
        if not objects.is_equal(found, groups()):
            raise StoreError(f"{made.path} was read back otherwise than it was written")
    except objects.DamagedObject as error:
        raise StoreError(str(error)) from error
    rows = sum(tracker.rows for tracker in trackers)
    made = made._replace(rows=rows, size_bytes=size, sha256=sha256, footer_sha256=footer_sha256)
    return Written(made, trackers)


def opened(store: Store, known: ArchivedDay) -> tuple[Any, bytes]:
    """Open an object; return it and the checksum of its footer. Raises StoreError, OSError."""
    from archive import objects

    file = store.open(known.path)
    try:
        footer_sha256 = objects.footer_sha256(file)
        if known.footer_sha256 not in (b"", footer_sha256):
            raise StoreError(f"{known.path} is damaged")
        return objects.opened(file, known.org_id, known.day), footer_sha256
    except objects.DamagedObject as error:
        raise StoreError(str(error)) from error
