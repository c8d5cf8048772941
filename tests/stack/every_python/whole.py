"""A whole system with every switch on, as `opsc up` runs it, and its admin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from mqtt import BrokerAddress, Session, SessionOptions
from stack.cli.organizations.org import Admin, create_with_admin
from stack.host.os_user import reachable_home
from stack.servers.runtime import StackInfo, read_stack
from telemetry.ids import parse_id
from telemetry.topics import fixes_topic
from tests.api.running import Answer, Client
from tests.servers import data_folder
from tests.stack.command import Up, plain_environment
from tests.waiting import until

ROLES = ("listener", "ingest", "deliver", "api")
ARCHIVED_AFTER_DAYS = 31
FALLEN = "ended ("
"""`opsc up` says it of a part that it starts again."""


class Whole:
    """The running system, its organization, and whoever asks. The archive is a folder."""

    def __init__(self, up: Up, archive: Path, admin: Admin) -> None:
        self.up, self.archive, self.account = up, archive, admin
        self._restarts = 0
        self.stack: StackInfo = read_stack(up.data_dir)
        self.admin = Client(self.stack.api_url, None)
        self.org_id = parse_id("org", admin.organization_id)
        self.mail = reachable_home(up.data_dir) / "mail"

    async def sign_in(self) -> None:
        org_id, email, password = self.account
        body = {"organization_id": org_id, "email": email, "password": password}
        self.admin.token = (await self.made("auth/token", body, 200))["access_token"]

    async def made(self, path: str, body: object, status: int = 201) -> Any:
        """Return what a POST makes."""
        return answered(await self.admin.post(f"/v1/{path}", body), status)

    async def first_of(self, path: str, **filters: Any) -> Any:
        """Return the first thing of a list."""
        return (await self.listed(path, **filters))[0]

    async def listed(self, path: str, **filters: Any) -> list[Any]:
        """Return the things on the first page of a list."""
        return answered(await self.admin.get(f"/v1/{path}", **filters), 200)["data"]

    async def publish(self, tracker: dict[str, Any], fixes: object) -> None:
        """Send fixes of a tracker in one message; they are stored on return."""
        options = SessionOptions(
            client_id=tracker["id"],
            username=tracker["id"],
            password=tracker["secret"].encode(),
        )
        async with Session(BrokerAddress.parse(self.stack.broker_url), options) as session:
            await session.publish(fixes_topic(tracker["id"]), json.dumps(fixes).encode())

    def sql(self, statement: str) -> int:
        """Read or change rows of the organization as the owner of the tables; how many it were."""
        with psycopg.connect(self.stack.database["opsc_owner"]) as conn:
            conn.execute("CALL act_for(%s, '')", (self.org_id,))
            return conn.execute(statement.encode()).rowcount

    async def restart_deliver(self) -> None:
        """Let `opsc deliver` begin anew, which is when it looks for what is old."""
        before = self._pid_of_deliver()
        os.kill(before, signal.SIGTERM)
        await until(lambda: self._pid_of_deliver() != before)
        self._restarts += 1

    def _pid_of_deliver(self) -> int:
        pid = read_stack(self.up.data_dir).parts["deliver"].pid
        assert pid is not None
        return pid

    def fallen(self) -> list[str]:
        """Return what was said of parts that ended by themselves."""
        said = [line for line in self.up.output.splitlines() if FALLEN in line]
        return said[self._restarts :]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; fails at once where a part of the system has ended, or
        `opsc deliver` tells of an error.
        """

        async def holds() -> object:
            trouble = [*self.fallen(), *self.errors("deliver")]
            assert not trouble, "\n".join(trouble)
            answer = condition()
            return await answer if isinstance(answer, Awaitable) else answer

        await until(holds)

    async def job_ended(self, job_id: str) -> Any:
        """Return a job once it has ended."""
        job: Any = {}

        async def has_ended() -> bool:
            nonlocal job
            job = answered(await self.admin.get(f"/v1/jobs/{job_id}"), 200)
            return job["ended_at"] is not None

        await self.until(has_ended)
        return job

    def errors(self, *roles: str) -> list[str]:
        """Return the lines of logs that tell of an error; of all roles unless some are named."""
        return [
            f"{role}: {line}"
            for role in roles or ROLES
            for line in _lines_of_errors(self.up.data_dir / "log" / f"{role}.log")
        ]


def answered(answer: Answer, status: int) -> Any:
    assert answer.status == status, answer.content.decode(errors="replace")
    return answer.json


def _lines_of_errors(log: Path) -> Iterator[str]:
    for line in log.read_text().splitlines():
        try:
            level = json.loads(line)["level"]
        except (ValueError, KeyError, TypeError):
            level = "no log line"
        if level not in ("debug", "info", "warning"):
            yield line


@asynccontextmanager
async def whole_system() -> AsyncIterator[Whole]:
    """Run `opsc up` with an archive on a folder of its own, and end it."""
    with data_folder() as folder:
        archive = folder / "archive"
        archive.mkdir()
        archive.chmod(0o777)  # as root the roles run as a user without a name
        switches = {
            "OPSC_ARCHIVE_URL": archive.as_uri(),
            "OPSC_ARCHIVE_AFTER_DAYS": str(ARCHIVED_AFTER_DAYS),
        }
        up = Up(folder / "data", plain_environment() | switches)
        try:
            up.until_said("ready")
            whole = Whole(up, archive, await _organization(up))
            await whole.sign_in()
            yield whole
        finally:
            if up.process.poll() is None:  # receivers answer meanwhile
                await asyncio.to_thread(up.end, signal.SIGTERM)


async def _organization(up: Up) -> Admin:
    url = read_stack(up.data_dir).database["opsc_owner"]
    return await create_with_admin(url, "Every Python", "admin@demo.example", "unlimited")
