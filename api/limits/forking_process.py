"""A process for hostile input: it forks a child for each request, which is killed at its limits.

The process reads requests from stdin and writes answers to stdout, both with their length before
them, one after the other, until stdin ends. A child has everything loaded, so it costs some
milliseconds. An empty answer says that the child was killed, or failed. Where the child had too
little of the processor, since others were busy, nothing is said of the request.

    serve(load, answer, ChildLimits(...))    # the process, a module of its own
    ForkingProcess("api.photos.copying", FairTurns()).ask(org_id, read)    # its user
"""

import asyncio
import os
import resource
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple
from uuid import UUID

from api.limits.fair_turns import FairTurns
from api.limits.turns import TooManyOfAll, Turns

_NICENESS = 10
_LENGTH = struct.Struct("<I")
_STARVED = 0xFFFF_FFFF
"""The length of an answer that there is not, since the child had too little of the processor."""


class ChildLimits(NamedTuple):
    """The limits of one request. wall_s: where the processor is busy with others, which is not the
    fault of the request. memory_bytes: more than the process has before.
    """

    cpu_s: int
    wall_s: int
    memory_bytes: int


# The user -----------------------------------------------------------------------------------------


class ForkingProcess:
    """A process that runs a module. It is started by the first request, and after it has ended.

    One request is under way at a time. Organizations take turns. arguments: of the module.
    """

    def __init__(self, module: str, turns: Turns | FairTurns, *arguments: str) -> None:
        self._command, self._turns = (module, *arguments), turns
        self._one_at_a_time = asyncio.Lock()
        self.process: Process | None = None

    async def ask(self, org_id: UUID, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the answer to a request; empty where there is none within the limits.

        read: returns the request. It is called when the request is next, so that what waits is not
        in memory. Raises what `turn` of the turns raises, and TooManyOfAll where the child had too
        little of the processor. A request that is given up ends the process.
        """
        async with self._turns.turn(org_id), self._one_at_a_time:
            message = await read()
            try:
                return await self._ask(message)
            except asyncio.CancelledError:
                await self.close()
                raise

    async def close(self) -> None:
        """End the process, and the child in it."""
        process, self.process = self.process, None
        if process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()  # reads on: wait() has no end while an answer is unread

    async def _ask(self, message: bytes) -> bytes:
        """Return the process's answer; from another process, where the one before has ended."""
        try:
            return await self._exchange(message)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.process = None
            return await self._exchange(message)

    async def _exchange(self, message: bytes) -> bytes:
        if self.process is None:
            self.process = await _started(self._command)
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(_LENGTH.pack(len(message)))
        stdin.write(message)
        await stdin.drain()
        (length,) = _LENGTH.unpack(await stdout.readexactly(_LENGTH.size))
        if length == _STARVED:
            raise TooManyOfAll
        return await stdout.readexactly(length)


async def _started(command: Sequence[str]) -> Process:
    """Start a process without our secrets, and without threads, since it forks. It leads a group,
    to which its child belongs.
    """
    kept = {name: text for name, text in os.environ.items() if not name.startswith("OPSC_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", *command),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,
        env=kept | {"OPENBLAS_NUM_THREADS": "1"},
    )


# The process --------------------------------------------------------------------------------------


def serve(
    load: Callable[[], object], answer: Callable[[bytes], bytes], limits: ChildLimits
) -> None:
    """Answer until stdin ends. load: makes ready what no child is to spend its time on."""
    for number in (signal.SIGINT, signal.SIGTERM):  # these are for the API, which then ends stdin
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    load()
    while (message := _read(sys.stdin.buffer)) is not None:
        answered = _in_a_child(answer, message, limits)
        sys.stdout.buffer.write(_LENGTH.pack(_STARVED if answered is None else len(answered)))
        sys.stdout.buffer.write(answered or b"")
        sys.stdout.buffer.flush()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(_LENGTH.size)
    return stream.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else None


def _in_a_child(
    answer: Callable[[bytes], bytes], message: bytes, limits: ChildLimits
) -> bytes | None:
    """Return the answer; empty where the child came to no end, None where it was starved."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(answer, message, limits, writing)
    os.close(writing)
    with open(reading, "rb") as stream:
        answered = stream.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return None
    return answered if status == 0 else b""


def _answer(
    answer: Callable[[bytes], bytes], message: bytes, limits: ChildLimits, writing: int
) -> None:
    """Answer in the child, and end it. What it raises ends it with a traceback on stderr."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _limit(limits)
    answered = answer(message)
    with open(writing, "wb") as stream:
        stream.write(answered)
    os._exit(0)


def _limit(limits: ChildLimits) -> None:
    with open("/proc/self/statm") as statm:
        has_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_AS, has_bytes + limits.memory_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    signal.alarm(limits.wall_s)
