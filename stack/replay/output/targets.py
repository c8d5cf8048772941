"""Files that a replay writes: looked at before the work, and there only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stack.errors import StackError


def check_target(target: Path | None, others: Sequence[Path | None]) -> None:
    """Check that a target can be written and is none of the other files of the replay."""
    if target is None:
        return
    if target.is_dir():
        raise ValueError(f"{target} is a directory")
    if not target.parent.is_dir():
        raise ValueError(f"{target}: there is no folder {target.parent}")
    if any(other is not None and target.resolve() == other.resolve() for other in others):
        raise ValueError(f"{target} is another file that this replay reads or writes")


def partial(target: Path) -> Path:
    """Return the path of a file until it is complete."""
    return target.with_name(target.name + ".part")


def write_whole(target: Path, text: str) -> None:
    """Write all of a file or nothing. Raises StackError."""
    try:
        partial(target).write_text(text, "utf-8")
        os.replace(partial(target), target)
    except OSError as error:
        raise StackError(f"cannot write {target}: {error.strerror}") from None
    finally:
        partial(target).unlink(missing_ok=True)
