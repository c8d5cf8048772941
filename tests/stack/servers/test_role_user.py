"""The roles of a system that root starts: they run as a user of their own, with few rights."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.host.os_user import (
    ROLE_IDS,
    Capability,
    OsUser,
    RoleUser,
    can_read,
    can_write,
    hand_over,
    hand_over_files,
    has_capability,
    role_user,
    service_identity,
)
from stack.servers import role_parts
from stack.servers.runtime import Secrets
from stack.servers.stack import Stack

SOMEBODY = OsUser("somebody", 12_345, 12_345, "/nonexistent")


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


@pytest.mark.parametrize(
    ("mode", "is_writable"), [(0o777, True), (0o755, False), (0o776, False), (0o700, False)]
)
@pytest.mark.parametrize("below", [".", "to/be/made"])
def test_a_folder_is_writable_if_its_mode_says_so(
    open_folder: Path, mode: int, is_writable: bool, below: str
) -> None:
    open_folder.chmod(mode)
    assert can_write(open_folder / below, SOMEBODY) is is_writable


@pytest.mark.skipif(os.geteuid() != 0, reason="roles of others run as themselves")
def test_a_given_mail_folder_that_the_roles_cannot_write_is_said(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    stack = Stack(open_folder, said.append, Secrets("", {}))
    stack.role_user = RoleUser(SOMEBODY)
    monkeypatch.setenv("OPSC_MAIL_FOLDER", str(open_folder))
    assert role_parts._mail_folder(stack) == open_folder
    assert said == [f"OPSC_MAIL_FOLDER: the user somebody cannot write {open_folder}"]


@pytest.mark.parametrize(
    "name", ["OPSC_BROKER_TLS_CA", "OPSC_BROKER_TLS_CERT", "OPSC_BROKER_TLS_KEY"]
)
def test_ingest_reads_its_certificates(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(open_folder / "file"))
    stack = Stack(open_folder, print, Secrets("", {}))
    assert open_folder / "file" in role_parts._files_of_roles(stack)


def test_roles_read_everything_only_where_a_file_of_theirs_is_hidden(open_folder: Path) -> None:
    said: list[str] = []
    hidden = open_folder / "hidden"
    hidden.touch()
    hidden.chmod(0o600)
    chosen = role_user(open_folder / "home", [hidden], said.append)
    if os.geteuid() != 0:
        assert chosen == RoleUser()
    elif has_capability(Capability.DAC_READ_SEARCH):
        assert chosen.reads_everything
        assert chosen.identity is not None
        assert chosen.identity.uid in ROLE_IDS
    else:
        assert chosen == RoleUser()
        assert str(hidden) in said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="roles of others run as themselves")
@pytest.mark.parametrize("servers_alone", [False, True])
def test_roles_own_no_file_of_postgresql_where_they_can_reach_theirs(
    open_folder: Path, servers_alone: bool
) -> None:
    servers = service_identity()
    assert servers is not None
    home = open_folder / "home"
    home.mkdir()
    for folder in (home, open_folder):
        hand_over(folder, servers)
        folder.chmod(0o700 if servers_alone else 0o755)
    chosen = role_user(home, [], print).identity
    assert chosen is not None
    assert (chosen.uid == servers.uid) is servers_alone
    assert (chosen.uid in ROLE_IDS) is not servers_alone
    if not servers_alone:
        with pytest.raises(KeyError):
            pwd.getpwuid(chosen.uid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_links_among_letters_give_nothing_away(open_folder: Path) -> None:
    mail, target, named_twice = (open_folder / name for name in ("mail", "target", "named_twice"))
    mail.mkdir()
    for file in (target, named_twice, mail / "letter"):
        file.touch()
    (mail / "symlink").symlink_to(target)
    (mail / "hard_link").hardlink_to(named_twice)
    os.mkfifo(mail / "fifo")
    hand_over_files(mail, SOMEBODY)
    assert (mail.stat().st_uid, (mail / "letter").stat().st_uid) == (SOMEBODY.uid, SOMEBODY.uid)
    assert {path.stat().st_uid for path in (target, named_twice, mail / "fifo")} == {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_link_itself_is_given_not_its_target(open_folder: Path) -> None:
    link, target = open_folder / "link", open_folder / "target"
    target.touch()
    link.symlink_to(target)
    hand_over(link, SOMEBODY)
    assert (link.lstat().st_uid, target.stat().st_uid) == (SOMEBODY.uid, 0)
