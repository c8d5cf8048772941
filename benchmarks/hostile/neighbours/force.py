"""The means of an attacker: many connections from many addresses, and what it was told, counted."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count

from benchmarks.hostile.crowd import addresses
from benchmarks.hostile.neighbours.preparation import Ground
from benchmarks.hostile.neighbours.wire import HttpConnection, Tracker, connected, request

ADDRESSES = 16
PAUSE_S = 0.02
UNREAD_BYTES = 4_096
FIRST_BYTES = 4_096
STAYS = ("101", "200")
"""Answers after which a connection is held."""
Make = Callable[[int], bytes]
"""Makes the request of a number."""


class Attacker:
    """told: statuses with the codes of problems, and what became of connections, counted."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.told: Counter[str] = Counter()
        self._addresses = addresses(0, ADDRESSES)

    def request(self, method: str, target: str, body: bytes | None = None, **headers: str) -> bytes:
        """Return a request with the attacker's token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(method, target, self.ground["token"], body, named)

    async def again_and_again(
        self,
        workers: int,
        make: Make,
        from_addresses: list[str] | None = None,
        times: int | None = None,
    ) -> None:
        """Let each worker send a request and read its answer, one after the other, for ever or this
        many times together.
        """
        numbers = count() if times is None else iter(range(times))
        of = from_addresses or self._addresses

        async def work(place: int) -> None:
            connection: HttpConnection | None = None
            for number in numbers:
                data = make(number)
                try:
                    if connection is None:
                        address = of[place % len(of)]
                        connection = await HttpConnection.open(self.ground["api_port"], address)
                    answer = await connection.ask(data)
                    self.told[answer.told] += 1
                    if answer.is_last:
                        connection.close()
                        connection = None
                except OSError:
                    self.told["cut"] += 1
                    if connection is not None:
                        connection.close()
                    connection = None
                    await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*map(work, range(workers)))

    async def hold(
        self, wanted: int, begin: bytes, from_addresses: list[str] | None = None, then: bytes = b""
    ) -> None:
        """Hold this many connections that begin with some bytes, send some more every second, and
        read nothing but the first of what comes. Those that end begin again.
        """
        of = from_addresses or self._addresses

        async def one(place: int) -> None:
            loop = asyncio.get_running_loop()
            while True:
                try:
                    address = of[place % len(of)]
                    made = await connected(self.ground["api_port"], address, UNREAD_BYTES)
                except OSError:
                    self.told["not connected"] += 1
                    await asyncio.sleep(PAUSE_S * 10)
                    continue
                self.told["connections"] += 1
                try:
                    await loop.sock_sendall(made, begin)
                    await self._until_it_ends(made, then)
                except OSError:
                    pass
                finally:
                    made.close()
                self.told["cut"] += 1
                await asyncio.sleep(PAUSE_S * 10)

        await asyncio.gather(*map(one, range(wanted)))

    async def _until_it_ends(self, made: socket.socket, then: bytes) -> None:
        """Send on until the other side ends the connection. One that has answered is not read."""
        loop = asyncio.get_running_loop()
        reading = asyncio.create_task(loop.sock_recv(made, FIRST_BYTES))
        try:
            while True:
                await asyncio.wait([reading], timeout=1)
                if reading.done():
                    if not (first := reading.result()):
                        return
                    self.told[status := first[9:12].decode("latin-1")] += 1
                    if status not in STAYS:
                        return
                    await asyncio.Event().wait()
                if then:
                    await loop.sock_sendall(made, then)
        finally:
            reading.cancel()
            await asyncio.wait([reading])  # its descriptor may be another connection's soon

    async def as_tracker(self, place: int, do: Callable[[Tracker], Awaitable[None]]) -> None:
        """Sign in as a tracker of the attacker's, and do something, again where it is cut."""
        name, secret = self.ground["trackers"][place]
        address = self._addresses[place % len(self._addresses)]
        while True:
            try:
                session = await Tracker.open(self.ground["listen_port"], address, name, secret)
            except OSError:
                self.told["not let in"] += 1
                await asyncio.sleep(PAUSE_S * 10)
                continue
            try:
                return await do(session)
            except OSError:
                self.told["cut by the listener"] += 1
            finally:
                session.close()

    async def publish(self, session: Tracker, payload: bytes) -> None:
        """Publish, and count."""
        await session.publish(payload)
        self.told["PUBACK"] += 1
