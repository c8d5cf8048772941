"""Finding the servers' programs, and saying so where they cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.host.programs import (
    ProvisionError,
    find_programs,
    provision,
    provision_clients,
    servers_dir,
)
from tests.servers import data_folder

POSTGRES = "usr/lib/postgresql/17/bin/postgres"
TIMESCALEDB = "usr/share/postgresql/17/extension/timescaledb.control"
RESTORE = "usr/lib/postgresql/17/bin/pg_restore"


def root_with(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def tool(folder: Path, name: str, script: str) -> None:
    """Write a stand-in for a program of the system."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def bare_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without servers whose PATH is the folder returned."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setattr("stack.host.programs.SYSTEM_ROOT", tmp_path / "system")
    monkeypatch.setenv("PATH", str(tools))
    return tools


def test_postgres_without_timescaledb_does_not_count(tmp_path: Path) -> None:
    assert find_programs([root_with(tmp_path, POSTGRES)]) is None
    assert find_programs([root_with(tmp_path, TIMESCALEDB)]) is not None


def test_what_the_system_has_goes_before_our_copy(tmp_path: Path) -> None:
    system, copy = (root_with(tmp_path / n, POSTGRES, TIMESCALEDB) for n in ("system", "copy"))
    found = find_programs([system, copy])
    assert found is not None
    assert found.postgres_bin == (system / POSTGRES).parent


def test_a_copy_that_is_there_is_used_again(bare_system: Path) -> None:
    copy = root_with(bare_system.parent / "servers/root", POSTGRES, TIMESCALEDB)
    said: list[str] = []
    assert provision(copy.parent, said.append).postgres_bin == (copy / POSTGRES).parent
    assert said == []


def test_a_backup_of_a_server_needs_its_programs_alone(bare_system: Path) -> None:
    system = root_with(bare_system.parent / "system", RESTORE)
    assert provision_clients(print).postgres_bin == (system / RESTORE).parent


def test_without_apt_the_error_says_what_to_do(bare_system: Path, tmp_path: Path) -> None:
    with pytest.raises(ProvisionError) as refused:
        provision(tmp_path / "servers", print)
    for word in ("apt-get", "postgresql-17-timescaledb", "OPSC_DATABASE_URL"):
        assert word in str(refused.value)


def test_a_release_without_postgresql_17_is_named(bare_system: Path, tmp_path: Path) -> None:
    tool(bare_system, "apt-get", "exit 0")
    tool(bare_system, "apt-cache", "exit 0")
    tool(bare_system, "dpkg", "exit 0")
    with pytest.raises(ProvisionError, match=r"do not have postgresql-17(?s:.*)from 13 on"):
        provision(tmp_path / "servers", print)


def test_a_mirror_that_fails_is_asked_twice_and_then_named(
    bare_system: Path, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    tool(bare_system, "apt-get", f"echo called >> {calls}; echo 'W: Failed to fetch http://x'")
    tool(bare_system, "apt-cache", "exit 0")
    tool(bare_system, "dpkg", "exit 0")
    with pytest.raises(ProvisionError, match=r"update` failed(?s:.*)Failed to fetch"):
        provision(tmp_path / "servers", print)
    assert calls.read_text().split() == ["called", "called"]
    assert not (tmp_path / "servers/root").exists()


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, which the servers' user can walk through whoever runs the tests."""
    monkeypatch.delenv("OPSC_SERVERS_DIR", raising=False)
    with data_folder() as folder:
        monkeypatch.chdir(folder)
        yield folder


def test_servers_are_kept_in_the_data_folder_unless_a_copy_is_there(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, data = home / "var/servers", home / "data"
    assert servers_dir() == usual
    assert servers_dir(data) == data / "servers"
    (usual / "root").mkdir(parents=True)
    assert servers_dir(data) == usual
    (data / "servers/root").mkdir(parents=True)
    assert servers_dir(data) == data / "servers"
    monkeypatch.setenv("OPSC_SERVERS_DIR", str(home / "chosen"))
    assert servers_dir(data) == home / "chosen"


def test_a_copy_that_another_user_made_is_not_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "var/servers/root").mkdir(parents=True)
    monkeypatch.setattr("os.geteuid", lambda: 4242)
    expected = "var" if (home / "var").stat().st_uid == 0 else "data"
    assert servers_dir(home / "data") == home / expected / "servers"
