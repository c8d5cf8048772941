"""A tracker that stores and forwards: fixes go to its disk first, and are forgotten once the broker
has acknowledged them.

    export TRACKER_ID=trk_... TRACKER_SECRET=...
    .venv/bin/python examples/tracker.py mqtt://127.0.0.1:1883 /tmp/fixes.db < fixes

Reads one fix a line as JSON, like {"time": "2026-01-31T12:00:00Z", "lat": 47.37, "lon": 8.54},
until its input ends, and ends when everything is sent. Where the broker cannot be reached, or
refuses the secret, it says so and tries again, for at most GIVE_UP_S at the end; what is left then
stays in the file for the next start.
"""

import asyncio
import json
import os
import sqlite3
import ssl
import sys
from contextlib import suppress
from urllib.parse import urlsplit

import aiomqtt

GIVE_UP_S = float(os.environ.get("GIVE_UP_S", "60"))
FIXES_IN_A_MESSAGE = (
    100  # 1,000 at most; many fixes in a message cost a fraction of as many messages
)
RETRY_S = 1.0


class Store:
    """Fixes that are not acknowledged yet, in the order in which they came."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)  # each statement is committed
        self._db.execute("CREATE TABLE IF NOT EXISTS fixes (id INTEGER PRIMARY KEY, fix TEXT)")

    def add(self, fix: str) -> None:
        self._db.execute("INSERT INTO fixes (fix) VALUES (?)", (fix,))

    def oldest(self) -> list[tuple[int, str]]:
        order = "SELECT id, fix FROM fixes ORDER BY id LIMIT ?"
        return self._db.execute(order, (FIXES_IN_A_MESSAGE,)).fetchall()

    def forget(self, last_id: int) -> None:
        self._db.execute("DELETE FROM fixes WHERE id <= ?", (last_id,))

    def count(self) -> int:
        return self._db.execute("SELECT count(*) FROM fixes").fetchone()[0]


async def read(store: Store, end: asyncio.Event) -> None:
    """Stores each line of the input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        store.add(json.dumps(json.loads(line)))
    end.set()


async def forward(store: Store, end: asyncio.Event, broker_url: str) -> None:
    """Sends what is stored, the oldest first, until the input has ended and all is acknowledged."""
    broker, told = urlsplit(broker_url), ""
    while not (end.is_set() and store.count() == 0):
        try:
            async with aiomqtt.Client(
                broker.hostname or "127.0.0.1",
                broker.port or (8883 if broker.scheme == "mqtts" else 1883),
                username=os.environ["TRACKER_ID"],
                password=os.environ["TRACKER_SECRET"],
                identifier=os.environ["TRACKER_ID"],
                tls_context=ssl.create_default_context() if broker.scheme == "mqtts" else None,
            ) as client:
                await send(client, store, end)
        except aiomqtt.MqttError as error:  # it is sent again: the same fix twice is stored once
            if str(error) != told:
                told = str(error)
                print(f"{broker_url}: {told}; trying again", file=sys.stderr, flush=True)
        await asyncio.sleep(RETRY_S)


async def send(client: aiomqtt.Client, store: Store, end: asyncio.Event) -> None:
    topic = f"trackers/{os.environ['TRACKER_ID']}/fixes"
    while True:
        fixes = store.oldest()
        if fixes:
            payload = "[" + ",".join(fix for _, fix in fixes) + "]"
            await client.publish(topic, payload, qos=1)  # returns when it is acknowledged
            store.forget(fixes[-1][0])
        elif end.is_set():
            return
        else:
            await asyncio.sleep(0.1)


async def main(broker_url: str, path: str) -> int:
    store, end = Store(path), asyncio.Event()
    forwarding = asyncio.create_task(forward(store, end, broker_url))
    await read(store, end)
    with suppress(TimeoutError):
        await asyncio.wait_for(forwarding, GIVE_UP_S)
    print(f"{store.count()} fixes wait in {path}")
    return 1 if store.count() else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not {"TRACKER_ID", "TRACKER_SECRET"} <= os.environ.keys():
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(*sys.argv[1:])))
