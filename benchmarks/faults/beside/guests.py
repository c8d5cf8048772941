"""Trackers beside the fleet, in an organization of their own: one that is revoked, one that sends
rubbish, one whose fixes are old.

The fleet's organization must not notice any of them; what becomes of the guest is checked here.
Each raises `Broken` where a promise is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import psycopg

from benchmarks.faults.disturbance import Broken, drop_chunks
from benchmarks.faults.load import new_organization
from benchmarks.faults.system import FaultSystem
from db.core.connect import Connection
from device_sim.plan import SimTracker
from mqtt import MqttError, PublishRefusedError, Session, SessionOptions
from stack.scenario.api_client import ApiClient
from stack.scenario.registration import known_to_broker
from telemetry.times import format_time, parse_time_us
from telemetry.topics import fixes_topic

_SETTLED_S = 30.0
_DAY_US = 86_400_000_000


@dataclass(slots=True)
class Guest:
    """One tracker with an open session, and what it has sent."""

    tracker: SimTracker
    client: ApiClient
    session: Session
    sent: int = 0
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    async def send(self, payload: bytes) -> None:
        """Wait for the answer; it may be that the message is in quarantine. Raises MqttError."""
        with suppress(PublishRefusedError):
            await self.session.publish(fixes_topic(self.tracker.tracker_id), payload)
        self.sent += 1

    def fix(self, at_us: int | None = None) -> bytes:
        """Return a fix of now, or of then."""
        text = format_time(time.time_ns() // 1000 if at_us is None else at_us)
        return json.dumps({"time": text, "lat": 52.5, "lon": 13.4, "seq": self.sent}).encode()

    async def stored(self) -> int:
        return await self.client.total("/v1/gps-events")

    async def refused(self) -> int:
        """Return messages in quarantine, each as often as it came."""
        pages = self.client.walk("/v1/quarantine")
        return sum([json.loads(bytes(raw))["seen"] async for page in pages for raw in page])


@asynccontextmanager
async def guest(system: FaultSystem, seed: int = 0) -> AsyncIterator[Guest]:
    """Provide a tracker on an asset, signed in to the listener."""
    async with guests(system, 1, seed) as (one,):
        yield one


@asynccontextmanager
async def guests(system: FaultSystem, trackers: int, seed: int = 0) -> AsyncIterator[list[Guest]]:
    """Provide trackers of one organization, each on an asset and signed in to the listener."""
    async with new_organization(system.stack) as client, AsyncExitStack() as ending:
        found = list[Guest]()
        for number in range(trackers):
            tracker = await _registered(client, f"guest {number}")
            await known_to_broker(system.device_broker, tracker)
            options = SessionOptions(
                client_id=tracker.tracker_id,
                username=tracker.tracker_id,
                password=tracker.secret.encode(),
            )
            session = Session(system.device_broker, options)
            await ending.enter_async_context(session)
            await session.connected.wait()
            random = np.random.default_rng([seed, number])
            found.append(Guest(tracker, client, session, random=random))
        yield found


async def _registered(client: ApiClient, name: str) -> SimTracker:
    asset = await client.post("/v1/assets", {"name": name})
    made = await client.post("/v1/trackers", {"name": name, "asset_id": asset["id"]})
    return SimTracker(made["id"], made["secret"])


async def revoked(system: FaultSystem, guests: int = 3) -> None:
    """Revoke trackers while they send; nothing that they send later is stored."""
    for _ in range(guests):
        async with guest(system) as one:
            sending = asyncio.create_task(_send_until_refused(one))
            await asyncio.sleep(3)
            answer = await one.client.post(f"/v1/trackers/{one.tracker.tracker_id}/revoke", {})
            revoked_us = parse_time_us(answer["revoked_at"])
            await asyncio.wait([sending], timeout=_SETTLED_S)
            if not sending.done():
                sending.cancel()
                raise Broken("a revoked tracker still sends after 30 s")
            await asyncio.sleep(1)
            newest = (await one.client.get("/v1/gps-events", {"limit": 1}))["data"]
            if not newest:
                raise Broken("nothing was stored before the tracker was revoked")
            after_s = (parse_time_us(newest[0]["received_at"]) - revoked_us) / 1e6
            system.done["tracker revoked"] += 1
            system.measured["stored_after_revocation_s"] = max(
                after_s, system.measured.get("stored_after_revocation_s", after_s)
            )
            if after_s > 0.25:  # a batch is a few milliseconds
                raise Broken(f"a fix was stored {after_s:.3f} s after the revocation")


async def _send_until_refused(one: Guest) -> None:
    with contextlib.suppress(MqttError):
        while True:
            await one.send(one.fix())
            await asyncio.sleep(0.02)


NASTY = (
    b"",
    b"\0",
    b"null",
    b"[]",
    b"{}",
    b"[" * 5_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"time":"2026-01-01T00:00:00Z","lat":1e308,"lon":-1e308}',
    b'{"time":1e308,"lat":1,"lon":1}',
    b'{"time":"2026-01-01T00:00:00Z","lat":NaN,"lon":Infinity}',
    b'{"time":"2026-01-01T00:00:00Z","lat":1,"lon":1,"attributes":{"a":"\\u0000"}}',
    b'{"time":"2026-01-01T00:00:00Z","lat":1,"lon":1,"attributes":{"\xff\xfe":1}}',
    b'{"time":"2026-01-01T00:00:00Z","lat":1,"lon":1,"seq":99999999999999999999}',
    b'{"time":"0000-00-00T99:99:99Z","lat":1,"lon":1}',
    b'{"time":"2026-01-01T00:00:00Z","lat":1,"lon":1,"attributes":{"big":"'
    + b"x" * 100_000
    + b'"}}',
    b"x" * 1_000_000,
    b"\xff\xfe\xfd",
)


async def rubbish(system: FaultSystem, seconds: float, seed: int) -> None:
    """Send anything but fixes from one tracker for a while, then a good one, which
    must be stored.
    """
    async with guest(system, seed) as one:
        failures = system.ingest.metric("opsc_ingest_failures_total")
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            await one.send(_mangled(one))
            await asyncio.sleep(0.01)
        system.done["messages of rubbish"] += one.sent
        mark_us = time.time_ns() // 1000
        await one.send(one.fix(mark_us))
        if not await _has(one, mark_us):
            raise Broken("a good fix after the rubbish was not stored")
        failures = system.ingest.metric("opsc_ingest_failures_total") - failures
        system.measured["turns_ended_by_rubbish"] = failures
        system.measured["rubbish_refused"] = await one.refused()
        if failures:
            raise Broken(f"rubbish ended {failures:.0f} turns of ingest")


def _mangled(one: Guest) -> bytes:
    """Return something nasty, or a good fix with a few bytes changed, left out or doubled."""
    random = one.random
    if random.random() < 0.3:
        return NASTY[int(random.integers(len(NASTY)))]
    content = bytearray(one.fix())
    for _ in range(int(random.integers(1, 4))):
        place = int(random.integers(len(content)))
        match int(random.integers(4)):
            case 0:
                content[place] = int(random.integers(256))
            case 1:
                del content[place : place + int(random.integers(1, 9))]
            case 2:
                content[place:place] = random.bytes(int(random.integers(1, 9)))
            case _:
                del content[place:]
        content = content or bytearray(b" ")
    return bytes(content)


async def _has(one: Guest, at_us: int) -> bool:
    """Return whether its newest fix is of that time, within half a minute."""
    deadline = time.monotonic() + _SETTLED_S
    while time.monotonic() < deadline:
        newest = (await one.client.get("/v1/gps-events", {"limit": 1}))["data"]
        if newest and parse_time_us(newest[0]["time"]) == at_us:
            return True
        await asyncio.sleep(0.2)
    return False


async def old_days_dropped(system: FaultSystem, rounds: int, days: int = 10) -> None:
    """Store fixes of long ago, and drop their days, while the fleet goes on."""
    async with guest(system) as one, system.admin() as conn:
        today_us = time.time_ns() // 1000
        for _ in range(rounds):
            for day in range(30, 30 + days):
                await one.send(one.fix(today_us - day * _DAY_US))
            await _stored(one, days)
            keep = datetime.now(UTC) - timedelta(days=20)
            began = time.monotonic()
            system.done["days dropped"] += await _dropped(system, conn, keep)
            system.measured["longest_drop_s"] = max(
                time.monotonic() - began, system.measured.get("longest_drop_s", 0)
            )
            if left := await one.stored():
                raise Broken(f"{left} old fixes are still there")


async def _stored(one: Guest, fixes: int) -> None:
    """Wait until this many fixes are stored."""
    deadline = time.monotonic() + _SETTLED_S
    for _ in count():
        if await one.stored() >= fixes:
            return
        if time.monotonic() > deadline:
            raise Broken(f"{fixes} old fixes were not stored within {_SETTLED_S:g} s")
        await asyncio.sleep(0.2)


async def _dropped(system: FaultSystem, conn: Connection, keep: datetime) -> int:
    """Drop days again where the table is busy, as whoever does it every night would."""
    while True:
        try:
            return await drop_chunks(conn, keep)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            system.done["drops that were tried again"] += 1
            await asyncio.sleep(0.5)
