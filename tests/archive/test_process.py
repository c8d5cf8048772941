"""Roles with an archive, and without one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from db.core.connect import Connection
from stack.installed.archive_page import ArchiveState, archive_state
from stack.servers.postgres import free_port
from tests.archive.fleet import in_database, objects_of, seen, truck
from tests.archive.passes import folder_store
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.delivering_process import process

pytestmark = pytest.mark.every_python


async def test_the_delivering_role_moves_what_is_old(
    database: DatabaseUnderTest, admin: Connection, tmp_path: Path
) -> None:
    tenant, _ = await truck(admin, database)
    page = f"127.0.0.1:{free_port(ANY_PORT)}"
    settings = {"OPSC_ARCHIVE_URL": tmp_path.as_uri(), "OPSC_ARCHIVE_AFTER_DAYS": "40"}
    async with process(database.url("opsc_deliver"), OPSC_DELIVER_HTTP=page, **settings):

        async def is_done() -> bool:
            return await in_database(admin) == 0

        await until(is_done)
        # What `opsc status` says, among processes that made no pass or are away.
        pages = [f"http://{page}/metrics", f"http://127.0.0.1:{free_port(ANY_PORT)}/metrics"]
        await until(lambda: asyncio.to_thread(archive_state, pages))
        assert archive_state(pages) == ArchiveState(0, 0, 0)
        assert archive_state(pages[1:]) is None
    assert [day.rows for day in await objects_of(admin)] == [100]
    assert (await seen(database, tenant, folder_store(tmp_path)))[1] == 101


async def test_a_url_that_is_none_ends_the_role_and_shows_no_secret(
    database: DatabaseUnderTest,
) -> None:
    settings = {"OPSC_ARCHIVE_URL": "s3://key:hidden@bucket?place=here"}
    async with process(database.url("opsc_deliver"), **settings) as role:
        assert await role.wait() == 2


@pytest.mark.parametrize("role", ["webhooks", "listener", "api", "ingest"])
def test_a_role_without_an_archive_does_not_load_pyarrow(role: str) -> None:
    code = (
        f"import {role}.__main__, sys; loaded = {{'pyarrow', 'numba'}} & sys.modules.keys();"
        f" assert loaded <= ({{'numba'}} if '{role}' in ('api', 'ingest') else set()), loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
