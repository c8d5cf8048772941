"""A backup says which objects of the archive it needs, and may have copies of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner, Result

from archive.mover import KEPT_FOR_READERS
from archive.store import Store
from db.core.connect import Connection
from stack.cli.safekeeping.archive_copies import LIST
from stack.cli.safekeeping.backup import backup
from stack.cli.safekeeping.restore import restore
from stack.errors import StackError
from stack.servers.backup_folder import read_manifest
from tests.archive.fleet import admin_of, insert, minutes, objects_of, seen, truck
from tests.archive.passes import archive, folder_store
from tests.servers import DatabaseUnderTest

admin = pytest_asyncio.fixture(admin_of)
app = typer.Typer()
app.command("backup")(backup)
app.command("restore")(restore)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


@pytest.fixture
def store(folder: Path) -> Store:
    return folder_store(folder)


def opsc(database: DatabaseUnderTest, archive: Path | None, *arguments: str | Path) -> Result:
    environment = {
        "OPSC_DATABASE_URL": database.url("admin"),
        "OPSC_ARCHIVE_URL": None if archive is None else archive.as_uri(),
    }
    return CliRunner().invoke(app, list(map(str, arguments)), env=environment)


async def test_a_restore_into_the_past_brings_back_objects_that_were_replaced(
    database: DatabaseUnderTest,
    empty_database: DatabaseUnderTest,
    admin: Connection,
    store: Store,
    folder: Path,
    tmp_path: Path,
) -> None:
    tenant, vehicle = await truck(admin, database)
    await archive(database, store)
    (day,) = await objects_of(admin)
    made = opsc(database, folder, "backup", tmp_path / "made", "--archive")
    assert made.exit_code == 0, made.output
    manifest = read_manifest(tmp_path / "made")
    assert (manifest.archived_objects, manifest.archived_bytes) == (1, day.size_bytes)
    checked = await asyncio.create_subprocess_exec(
        "sha256sum", "--check", tmp_path / "made" / LIST, cwd=folder
    )
    assert await checked.wait() == 0
    await insert(admin, tenant, vehicle, minutes(0.5))
    await archive(database, store)
    await archive(database, store, now=datetime.now(UTC) + KEPT_FOR_READERS)
    assert not (folder / day.path).exists()
    restored = opsc(empty_database, folder, "restore", tmp_path / "made", "--without-secret-key")
    assert restored.exit_code == 0, restored.output
    assert "1 objects are as they were, 1 of them written anew" in restored.output
    assert (await seen(empty_database, tenant, store))[1] == 101
    assert (await seen(database, tenant, store))[1] == 102


@pytest.mark.parametrize("fault", ["lacking", "damaged", "not looked at"])
async def test_a_backup_without_copies_says_what_it_needs(
    database: DatabaseUnderTest,
    empty_database: DatabaseUnderTest,
    admin: Connection,
    store: Store,
    folder: Path,
    tmp_path: Path,
    fault: str,
) -> None:
    await truck(admin, database)
    await archive(database, store)
    (day,) = await objects_of(admin)
    made = opsc(database, None, "backup", tmp_path / "made")
    assert made.exit_code == 0, made.output
    assert "1 objects of the archive" in made.output
    assert day.path in (tmp_path / "made" / LIST).read_text()
    content = (folder / day.path).read_bytes()
    match fault:
        case "lacking":
            (folder / day.path).unlink()
        case "damaged":
            (folder / day.path).write_bytes(content[:-1] + b"x")
    given = None if fault == "not looked at" else folder
    restored = opsc(empty_database, given, "restore", tmp_path / "made", "--without-secret-key")
    if fault == "not looked at":
        assert restored.exit_code == 0, restored.output
        assert "set OPSC_ARCHIVE_URL" in restored.output
    else:
        assert isinstance(restored.exception, StackError)
        said = {"lacking": "1 of 1 objects are neither", "damaged": "is damaged in the archive"}
        assert said[fault] in str(restored.exception)
        assert day.path in str(restored.exception)


async def test_copies_need_an_archive_and_whole_objects(
    database: DatabaseUnderTest, admin: Connection, store: Store, folder: Path, tmp_path: Path
) -> None:
    await truck(admin, database)
    await archive(database, store)
    nowhere = opsc(database, None, "backup", tmp_path / "made", "--archive")
    assert "--archive needs OPSC_ARCHIVE_URL" in str(nowhere.exception)
    (day,) = await objects_of(admin)
    (folder / day.path).write_bytes(b"x")
    damaged = opsc(database, folder, "backup", tmp_path / "made", "--archive")
    assert f"{day.path} is damaged in the archive" in str(damaged.exception)
    (folder / day.path).unlink()
    lacking = opsc(database, folder, "backup", tmp_path / "made", "--archive")
    assert f"cannot copy {day.path}" in str(lacking.exception)
    assert not (tmp_path / "made").exists()
