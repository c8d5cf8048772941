"""Fixes taken out of archived days: a day is written anew without them, and read back.

The caller names the new object, and removes the old one, as soon as nobody writes into the archive
but the caller (`db.archive.moving.begin`).
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import uuid4

from archive import writing
from archive.errors import StoreError
from archive.store import Store
from archive.writing import Written
from db.archive.archived_days import ArchivedDay, Piece


class Rewritten(NamedTuple):
    """A day without the fixes. written: None where it had no others."""

    erased: int
    written: Written | None


def rewritten(store: Store, day: ArchivedDay, pieces: Sequence[Piece]) -> Rewritten | None:
    """Write a day without its fixes of the pieces; None: it has none of them. Blocks. Raises
    StoreError, OSError.
    """
    from archive import lookup, objects

    try:
        older, _ = writing.opened(store, day)
        erased = lookup.count(older, pieces, None, day.rows)
        if erased in (0, day.rows):
            return Rewritten(erased, None) if erased else None
        made = day._replace(object_id=uuid4())
        written = writing.write(store, made, lambda: lookup.without(older, pieces))
    except objects.DamagedObject as error:
        raise StoreError(str(error)) from error
    if written.made.rows != day.rows - erased:
        raise StoreError(f"{made.path} has {written.made.rows} rows of {day.rows - erased}")
    return Rewritten(erased, written)
