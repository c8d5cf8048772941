"""Servers that an `opsc up` which was killed has left behind: they end by themselves, in moments.

Until then they hold the data and the ports. A server that has ended may leave children, which hold
PostgreSQL's shared memory a little longer.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stack.host.process import PartFailed
from stack.servers.supervisor import Part, Say, Supervisor

LONGEST_END_S = 45.0  # PostgreSQL has 30 s to end in order
CHILDREN_END_S = 15.0
POLL_S = 0.2
# PostgreSQL says one of these when it may not start yet (postmaster.pid, shared memory).
STILL_HELD = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')


async def until_ended(homes: Iterable[Path], say: Say) -> None:
    """Wait until no server works on these folders, or a bounded time has passed."""
    folders = list(homes)
    deadline = time.monotonic() + LONGEST_END_S
    said = False
    while (left := _working_on(folders)) and time.monotonic() < deadline:
        if not said:
            say(f"waiting until servers of an earlier run have ended: {', '.join(left)}")
            said = True
        await asyncio.sleep(POLL_S)


async def start_when_free(supervisor: Supervisor, part: Part, say: Say) -> None:
    """Start PostgreSQL, again while children of a former one hold its memory."""
    deadline = time.monotonic() + CHILDREN_END_S
    said = False
    while True:
        try:
            await supervisor.start(part)
            return
        except PartFailed as failure:
            is_held = any(text in str(failure) for text in STILL_HELD)
            if not is_held or time.monotonic() > deadline:
                raise
        if not said:
            say("waiting until PostgreSQL of an earlier run has released its memory")
            said = True
        await asyncio.sleep(POLL_S)


def _working_on(homes: list[Path]) -> list[str]:
    """Return servers with a folder of ours, or a file in one, among their arguments."""
    prefixes = tuple(os.fsencode(home) + b"/" for home in homes)
    running: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
            if any(argument.startswith(prefixes) for argument in arguments[:2]):
                running.append(f"{Path(os.fsdecode(program)).name} (process {process.name})")
    return running
