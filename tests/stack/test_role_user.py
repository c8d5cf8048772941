"""The roles of a system that root starts: they run as the servers' user, with few rights."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.identity import Identity, can_read, may_read_everything, service_identity
from stack.role_user import RoleUser, role_user

SOMEBODY = Identity("somebody", 12_345, 12_345, "/nonexistent")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "is_readable"),
    [
        (0o755, 0o644, True),
        (0o711, 0o644, True),
        (0o700, 0o644, False),
        (0o755, 0o640, False),
        (0o755, 0o600, False),
    ],
)
def test_a_file_is_readable_if_its_mode_and_all_folders_say_so(
    open_folder: Path, folder_mode: int, file_mode: int, is_readable: bool
) -> None:
    file = open_folder / "file"
    file.touch()
    file.chmod(file_mode)
    open_folder.chmod(folder_mode)
    assert can_read(file, SOMEBODY) is is_readable


def test_a_file_that_is_not_there_yet_hides_nothing(open_folder: Path) -> None:
    assert can_read(open_folder / "missing", SOMEBODY)
    open_folder.chmod(0o700)
    assert not can_read(open_folder / "missing", SOMEBODY)


def test_roles_read_everything_only_where_a_file_of_theirs_is_hidden(open_folder: Path) -> None:
    said: list[str] = []
    hidden = open_folder / "hidden"
    hidden.touch()
    hidden.chmod(0o600)
    chosen = role_user(open_folder / "home", [hidden], said.append)
    if os.geteuid() != 0:
        assert chosen == RoleUser()
    elif may_read_everything():
        assert chosen == RoleUser(service_identity(), reads_everything=True)
    else:
        assert chosen == RoleUser()
        assert str(hidden) in said[0]
