"""The neighbour: what it gets of the system, measured from outside.

    python -m benchmarks.hostile.neighbours.victim GROUND FILE

GROUND is what `preparation.victim` made. Until stdin ends it sends 20 fixes a second from its
trackers, reads an asset, and makes work orders whose webhooks come to a receiver in this process.
Each is due at even distances, whatever became of the one before, and how long it takes counts from
when it was due. Then it waits for what is outstanding, writes FILE and exits with 0. Times are of
CLOCK_MONOTONIC, which all processes share.
"""

import asyncio
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.hostile.neighbours.wire import (
    HOST,
    Answer,
    HttpConnection,
    Tracker,
    headers_of,
    request,
)

ADDRESS = "127.2.0.1"
"""Where it comes from: nobody's proxy, so that the bounds of addresses hold for it, too."""
FIX_EVERY_S, GET_EVERY_S, NEW_EVERY_S, EVENT_EVERY_S = 0.05, 0.1, 1.0, 0.5
PATIENCE_S = 30.0
DRAIN_S = 20.0
LINGER_S = 1.0
"""How long it waits for webhooks that come twice."""
AGAIN_S = 0.2
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
Json = dict[str, Any]


class Receiver:
    """The receiver of webhooks. arrived: when those of a work order came, ns."""

    def __init__(self) -> None:
        self.arrived: dict[str, list[int]] = defaultdict(list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accept all webhooks of a connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(headers_of(head)["content-length"]))
                now_ns = time.monotonic_ns()
                self.arrived[json.loads(body)["data"]["work_order_id"]].append(now_ns)
                writer.write(NO_CONTENT)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


class Victim:
    """took: when each thing of a measure was due and when it was there, ns. errors: what went
    wrong, and when.
    """

    def __init__(self, ground: Json) -> None:
        self._ground = ground
        self._receiver = Receiver()
        self._trackers: list[Tracker | None] = [None] * len(ground["trackers"])
        self._locks = [asyncio.Lock() for _ in self._trackers]
        self._kept: list[HttpConnection] = []
        self._numbers = count()
        self._made: dict[str, int] = {}  # work order -> when it was due
        self._tasks = set[asyncio.Task[None]]()
        self.took: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.errors: list[tuple[int, str]] = []

    async def run(self, said: Callable[[], None]) -> None:
        """Do everything until stdin ends, and wait for what is outstanding."""
        server = await asyncio.start_server(
            self._receiver.serve, HOST, self._ground["receiver_port"]
        )
        await asyncio.gather(*(self._tracker(number) for number in range(len(self._trackers))))
        said()
        turns = [
            asyncio.create_task(_every(each_s, self._begin(name, do)))
            for name, each_s, do in (
                ("PUBACK", FIX_EVERY_S, self._fix),
                ("GET", GET_EVERY_S, self._get),
                ("new GET", NEW_EVERY_S, self._get_anew),
                ("POST", EVENT_EVERY_S, self._event),
            )
        ]
        await asyncio.to_thread(sys.stdin.read)
        for turn in turns:
            turn.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)
        await self._until_all_came()
        server.close()

    async def _until_all_came(self) -> None:
        """Wait for webhooks, and a little longer for those that come again."""
        for _ in range(round(DRAIN_S / AGAIN_S)):
            if not self._missing():
                break
            await asyncio.sleep(AGAIN_S)
        await asyncio.sleep(LINGER_S)

    def facts(self) -> Json:
        """Return the record, as `report.Record` reads it."""
        webhooks, missing, doubled = compare(self._made, self._receiver.arrived)
        return {
            "took": {**self.took, "webhook": webhooks},
            "errors": self.errors,
            "missing": {"webhook": missing, **Counter(task.get_name() for task in self._tasks)},
            "doubled": doubled,
        }

    def _missing(self) -> int:
        return sum(one not in self._receiver.arrived for one in self._made)

    def _begin(
        self, name: str, do: Callable[[int], Coroutine[Any, Any, None]]
    ) -> Callable[[int], None]:
        """Return a call that begins to do it, beside all that was begun before."""

        def begin(due_ns: int) -> None:
            task = asyncio.create_task(do(due_ns), name=name)
            self._tasks.add(task)
            task.add_done_callback(self._ended)

        return begin

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note(f"{task.get_name()}: {error!r}")

    async def _fix(self, due_ns: int) -> None:
        number = next(self._numbers)
        at = datetime.now(UTC).isoformat()
        payload = b'{"time":"%s","lat":52.5,"lon":13.4}' % at.encode()
        while True:
            try:
                await (await self._tracker(number % len(self._trackers))).publish(payload)
                break
            except OSError as error:
                self._note(f"tracker: {error}")
                await asyncio.sleep(AGAIN_S)
        self._is_there("puback", due_ns)

    async def _tracker(self, number: int) -> Tracker:
        """Return the session of a tracker, a new one where it has ended."""
        async with self._locks[number]:
            found = self._trackers[number]
            if found is None or not found.is_open:
                name, secret = self._ground["trackers"][number]
                port = self._ground["listen_port"]
                self._trackers[number] = found = await Tracker.open(port, ADDRESS, name, secret)
            return found

    async def _get(self, due_ns: int) -> None:
        await self._read(due_ns, self._ask)

    async def _get_anew(self, due_ns: int) -> None:
        await self._read(due_ns, self._ask_anew)

    async def _read(self, due_ns: int, ask: Callable[[bytes], Awaitable[Answer]]) -> None:
        target = f"/v1/assets/{self._ground['asset_id']}"
        if await self._good(ask(request("GET", target, self._ground["token"])), 200, "GET"):
            self._is_there("get", due_ns)

    async def _event(self, due_ns: int) -> None:
        body = json.dumps({"title": "Replace the cable"}).encode()
        data = request("POST", "/v1/work-orders", self._ground["token"], body)
        if answer := await self._good(self._ask(data), 201, "POST"):
            self._made[json.loads(answer.body)["id"]] = due_ns

    async def _good(self, asked: Awaitable[Answer], status: int, what: str) -> Answer | None:
        """Return the answer, None where it is an error."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await asked
        except TimeoutError:
            self._note(f"{what}: no answer in {PATIENCE_S:g} s")
        except OSError as error:
            self._note(f"{what}: {error}")
        else:
            if answer.status == status:
                return answer
            self._note(f"{what}: {answer.told}")
        return None

    async def _ask(self, data: bytes) -> Answer:
        """Ask over a kept connection, the one that was used last of those that are free."""
        while self._kept:
            connection = self._kept.pop()
            if connection.is_usable:
                break
            connection.close()
        else:
            connection = await HttpConnection.open(self._ground["api_port"], ADDRESS)
        try:
            answer = await connection.ask(data)
        except BaseException:
            connection.close()
            raise
        if answer.is_last:
            connection.close()
        else:
            self._kept.append(connection)
        return answer

    async def _ask_anew(self, data: bytes) -> Answer:
        connection = await HttpConnection.open(self._ground["api_port"], ADDRESS)
        try:
            return await connection.ask(data)
        finally:
            connection.close()

    def _is_there(self, measure: str, due_ns: int) -> None:
        self.took[measure].append((due_ns, time.monotonic_ns()))

    def _note(self, what: str) -> None:
        self.errors.append((time.monotonic_ns(), what))


def compare(
    made: Mapping[str, int], arrived: Mapping[str, Sequence[int]]
) -> tuple[list[tuple[int, int]], int, int]:
    """Return when each webhook was due and came first, how many are missing, and how often one came
    again.
    """
    webhooks = [(due, arrived[one][0]) for one, due in made.items() if one in arrived]
    again = sum(len(arrived[one]) - 1 for one in made if one in arrived)
    return webhooks, len(made) - len(webhooks), again


async def _every(each_s: float, begin: Callable[[int], None]) -> None:
    """Begin something at even distances, for ever."""
    due_s = time.monotonic()
    while True:
        begin(round(due_s * 1e9))
        due_s += each_s
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


async def _run(ground: Json) -> Json:
    victim = Victim(ground)
    await victim.run(lambda: print("connected", flush=True))
    return victim.facts()


def main(arguments: Sequence[str]) -> int:
    ground, path = arguments
    facts = asyncio.run(_run(json.loads(Path(ground).read_text())))
    Path(path).write_text(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
