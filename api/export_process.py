"""The process that writes one export and ends, started by `opsc deliver` (`webhooks.exporting`).

    python -m api.export_process < task

It goes on in a transaction of the organization, as opsc_app, a page at a time, into an object that
nothing names yet. The object is read back, and named by the transaction that ends the job. Before
it is written it is noted for its removal, so nothing is left wherever the process is killed.

Exit code: 0 the job has ended, or somebody else has it; others: it is to be begun anew.
"""

import asyncio
import hashlib
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import msgspec

from api.http.encoding import sparse
from api.http.problems import Problem
from api.resources.export_jobs import MOST_BYTES, MOST_KEPT_BYTES, NewExport, Wanted, said, wanted
from api.resources.exports import Asker, Pages, Place
from archive.errors import StoreError
from archive.reading import Archive
from archive.store import Store, StoreUrl
from db.archive import moving
from db.archive.archived_days import export_path
from db.core.connect import Pool, pool
from db.core.tenant import as_application
from db.resources import jobs
from service.exports import ExportTask

_NICENESS = 10
_READ_ROWS = 20_000  # nobody waits here meanwhile
_NOTE_S = 1.0
_STORE_S = 3_600.0


class _Ended(Exception):
    """The job was cancelled, or another process has it."""


class _Failed(Exception):
    """The job cannot be done: the message is for whoever asked for it."""


class _ExportRun:
    def __init__(self, connections: Pool, task: ExportTask) -> None:
        self._connections, self._task = connections, task
        self._transaction = partial(as_application, connections, task.org_id)
        url = StoreUrl.read(task.archive_url)
        self._archive = Archive(Store(url))
        self._store = Store(url, timeout_s=_STORE_S)
        self._path = export_path(task.org_id, task.claim)
        self._rows = self._bytes = 0
        self._sha256 = hashlib.sha256()

    async def run(self) -> None:
        try:
            await self._do()
        except _Ended:
            pass
        except (_Failed, Problem) as error:
            text = said(error) if isinstance(error, Problem) else str(error)
            async with self._transaction() as conn:
                if await jobs.hold(conn, self._task.job_id, self._task.claim) is not None:
                    await jobs.end(conn, self._task.job_id, "failed", text[:500])

    async def _do(self) -> None:
        async with self._transaction() as conn:
            content = await jobs.content_of(conn, self._task.job_id)
            left = MOST_KEPT_BYTES - await jobs.kept_bytes(conn)
        if content is None:
            raise _Ended
        asked = wanted(NewExport.model_validate_json(content))
        asker = Asker(self._transaction, self._archive, read_rows=_READ_ROWS)
        pages = await asked.of.pages(asker, asked.query, Place())
        async with self._connections.connection() as conn:
            paths = [self._path, f"{self._path}.partial"]
            await moving.remove_later(conn, paths, datetime.now(UTC) + jobs.KEPT)
        try:
            await self._write(_content(asked, pages, self), min(left, MOST_BYTES))
            await self._end(asked)
        except BaseException:
            with suppress(StoreError):
                await self._store.run(self._store.remove, self._path)
            async with self._connections.connection() as conn:
                await moving.remove_now(conn, self._path.removesuffix("file"))
            raise

    def note_rows(self, rows: int) -> None:
        self._rows += rows

    async def _write(self, content: AsyncIterator[bytes], most: int) -> None:
        """Write an object, and read it back. Raises StoreError, _Ended, _Failed."""
        reading, writing = os.pipe()
        writer = asyncio.create_task(self._store.run(_stored, self._store, self._path, reading))
        noted_s = monotonic()
        try:
            with os.fdopen(writing, "wb") as pipe:
                async for piece in content:
                    self._sha256.update(piece)
                    self._bytes += len(piece)
                    if self._bytes > most:
                        raise _Failed(
                            f"The file would have more than {most:,} bytes: ask for less at once."
                        )
                    await asyncio.to_thread(pipe.write, piece)
                    if monotonic() - noted_s > _NOTE_S:
                        await self._note()
                        noted_s = monotonic()
        except BrokenPipeError:
            pass  # the writer says why
        finally:
            await writer
        found = await self._store.run(self._store.sha256, self._path)
        if found != (self._sha256.digest(), self._bytes):
            raise StoreError(f"{self._path} was read back otherwise than it was written")

    async def _note(self) -> None:
        """Write how many rows there are."""
        async with self._transaction() as conn:
            held = await jobs.hold(conn, self._task.job_id, self._task.claim)
            if held is None:
                raise _Ended
            held = held._replace(done=self._rows)
            await jobs.advance(conn, self._task.job_id, held, self._task.lease_s, lasts=False)

    async def _end(self, asked: Wanted) -> None:
        file = {
            "name": f"{asked.name}.{asked.form.extension}",
            "media_type": asked.form.media_type,
            "bytes": self._bytes,
            "sha256": self._sha256.hexdigest(),
        }
        async with self._transaction() as conn:
            held = await jobs.hold(conn, self._task.job_id, self._task.claim)
            if held is None:
                raise _Ended
            result = {**held.result, "written": self._rows, "file": file}
            held = held._replace(done=self._rows, total=self._rows, result=result)
            await jobs.advance(conn, self._task.job_id, held, self._task.lease_s)
            await jobs.name_object(conn, self._task.job_id, self._task.claim)
            await jobs.end(conn, self._task.job_id, "done")


async def _content(asked: Wanted, pages: Pages, run: _ExportRun) -> AsyncIterator[bytes]:
    writer, names = asked.form.writer(asked.shape), ",".join(asked.shape.columns)
    async for rows in pages:
        run.note_rows(len(rows))
        if content := writer.page(list(sparse(rows, names))):
            yield content
    yield writer.end()


def _stored(store: Store, path: str, reading: int) -> None:
    with open(reading, "rb") as content:
        store.write(path, content)


def _end_with(stdin: int) -> None:
    """End with the process that started this one. A read of the buffer would keep its lock, without
    which Python cannot end in order.
    """
    os.read(stdin, 1)
    os._exit(1)


async def _run(task: ExportTask) -> None:
    async with pool(task.database_url, "opsc-export", max_size=2) as connections:
        await _ExportRun(connections, task).run()


def main() -> int:
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=ExportTask)
    threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    os.nice(_NICENESS)
    asyncio.run(_run(task))
    return 0


if __name__ == "__main__":
    sys.exit(main())
