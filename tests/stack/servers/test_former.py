"""A start waits for what a run that was killed has left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from stack.host.programs import Programs
from stack.servers.former import start_when_free, until_ended
from stack.servers.postgres import Postgres, free_port
from stack.servers.supervisor import Part, Supervisor


def test_servers_of_a_former_run_are_waited_for(tmp_path: Path) -> None:
    (tmp_path / "postgresql.conf").touch()
    said: list[str] = []
    with subprocess.Popen(["tail", "-f", tmp_path / "postgresql.conf"]) as left:

        def say(text: str) -> None:
            said.append(text)
            left.terminate()
            left.wait()

        try:
            while not Path(f"/proc/{left.pid}/cmdline").read_bytes():
                time.sleep(0.01)  # it has only just begun
            asyncio.run(until_ended([tmp_path], say))
            assert left.returncode == -signal.SIGTERM
        finally:
            left.kill()
    assert said == [
        f"waiting until servers of an earlier run have ended: tail (process {left.pid})"
    ]
    asyncio.run(until_ended([tmp_path], said.append))
    assert len(said) == 1


def test_postgres_is_started_again_once_the_memory_of_a_former_one_is_free(
    programs: Programs, readable_folder: Path
) -> None:
    said: list[str] = []
    home, log = readable_folder / "postgres", readable_folder / "postgres.log"
    server = Postgres(programs, home, free_port(0), log)
    former = server.start()
    tasks = Path(f"/proc/{former.pid}/task/{former.pid}/children")
    children: list[int] = []
    for child in map(int, tasks.read_text().split()):
        with suppress(ProcessLookupError):  # some look around once, and end
            os.kill(child, signal.SIGSTOP)
            children.append(child)
    former.kill()

    def say(text: str) -> None:
        said.append(text)
        for child in children:
            os.kill(child, signal.SIGKILL)

    async def start_again() -> None:
        supervisor = Supervisor(said.append, lambda *_: None)
        try:
            await start_when_free(supervisor, Part(server.command(), server.is_ready), say)
            psycopg.connect(server.url()).close()
        finally:
            await supervisor.stop()

    asyncio.run(start_again())
    assert said == ["waiting until PostgreSQL of an earlier run has released its memory"]
