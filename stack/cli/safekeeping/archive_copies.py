"""Objects of the archive in a backup: which ones it needs, and copies of them.

`archive.sha256` has a line for each, as `sha256sum --check` reads it in the folder of the archive.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from archive.store import Store, StoreUrl
from db.archive.archived_days import ArchivedDay
from stack.errors import StackError
from stack.servers.backup_folder import sha256_of

LIST = "archive.sha256"
COPIES = "archive"
_PIECE_BYTES = 1024 * 1024


def given_store() -> Store | None:
    """Return the store behind OPSC_ARCHIVE_URL. Raises StackError where it names none."""
    url = os.environ.get("OPSC_ARCHIVE_URL")
    if not url:
        return None
    try:
        return Store(StoreUrl.read(url))
    except ValueError as error:
        raise StackError(f"OPSC_ARCHIVE_URL {error}") from None


def write_list(folder: Path, needed: Sequence[ArchivedDay]) -> None:
    lines = (f"{day.sha256.hex()}  {day.path}\n" for day in needed)
    (folder / LIST).write_text("".join(lines))


def copy_objects(
    store: Store, folder: Path, needed: Sequence[ArchivedDay], progress: Callable[[int], None]
) -> None:
    """Copy objects into a backup, and compare their checksums. Raises StackError."""
    for day in needed:
        target = folder / COPIES / day.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with store.open(day.path) as source, target.open("wb") as file:
                while piece := source.read(_PIECE_BYTES):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StackError(f"cannot copy {day.path} out of the archive: {error}") from None
        _check(day, sha256_of(target), "in the archive")
        progress(1)


def restore_objects(
    store: Store, folder: Path, needed: Sequence[ArchivedDay], progress: Callable[[int], None]
) -> int:
    """Check the objects in the store, and write those that lack from copies; how many. Raises
    StackError.
    """
    written = 0
    lacking: list[str] = []
    for day in needed:
        found = _checksum(store, day)
        if found is None:
            copy = folder / COPIES / day.path
            if copy.exists():
                _check(day, sha256_of(copy), "in the backup")
                with copy.open("rb") as file:
                    store.write(day.path, file)
                found = _checksum(store, day)
                written += 1
        if found is None:
            lacking.append(day.path)
        else:
            _check(day, found, "in the archive")
        progress(1)
    if lacking:
        raise StackError(
            f"{len(lacking):,} of {len(needed):,} objects are neither in the archive nor in the"
            f" backup, the first is {lacking[0]}: the database is restored, and the fixes of these"
            " days cannot be read. Bring them back from a copy of the archive, and check with"
            f" `sha256sum --check {LIST}`"
        )
    return written


def _checksum(store: Store, day: ArchivedDay) -> str | None:
    try:
        return store.sha256(day.path)[0].hex()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StackError(f"the archive cannot be read: {error}") from None


def _check(day: ArchivedDay, sha256: str, where: str) -> None:
    if sha256 != day.sha256.hex():
        raise StackError(
            f"{day.path} is damaged {where}: its checksum is not the one that it was written with"
        )
