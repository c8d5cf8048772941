"""The process that writes an export, alone."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec

from db.core.ids import new_id
from service.exports import ExportTask
from tests.servers import DatabaseUnderTest


async def test_it_ends_in_order_while_the_process_that_started_it_goes_on(
    database: DatabaseUnderTest, tmp_path: Path
) -> None:
    task = ExportTask(
        database_url=database.url("opsc_deliver"),
        archive_url=tmp_path.as_uri(),
        org_id=new_id(),
        job_id=new_id(),
        claim=new_id(),
        lease_s=30,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "api.export_process"), stdin=PIPE, stderr=PIPE
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(task) + b"\n")
    assert process.stderr is not None
    told = await process.stderr.read()
    assert (await process.wait(), told) == (0, b"")
