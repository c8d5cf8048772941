"""The faults of a soak run: what is broken, when, and how.

`planned` makes the schedule from a seed, pure. It has three parts, so that every process lives long
through the faults of the others: in the first, ingest is ended; in the second, the database fails;
in the third, the listener is killed and restarted. Cut networks and edited zones come in all of
them. The first two parts begin with PostgreSQL stopped, which makes the largest backlog: what a
listener or an ingest holds after it should be the most that it ever holds.

`done` does one fault and returns once the system is ready again.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice

import numpy as np

from benchmarks.common import rows as setup_rows
from benchmarks.common import workload
from benchmarks.faults.disturbance import terminate_sessions
from benchmarks.faults.proxy import Link
from benchmarks.faults.system import FaultSystem, Ingest
from benchmarks.soak import load as soak_load
from stack.scenario.api_client import ApiClient
from stack.servers.supervisor import answers_ready
from telemetry.ids import format_id

CALM_S = 45.0  # before the first fault and after the last
SLOT_S = 33.0  # from one fault to the next
_BACK_S = 240.0  # PostgreSQL may have minutes of its log to go through
_STALLED_S = 5.0
_ZONES = 10


class Kind(StrEnum):
    """The kind of a fault. STARTED is no fault, but brings lines with it as well."""

    STARTED = "system started"
    INGEST_KILLED = "ingest killed"
    INGEST_ROLLED = "ingest restarted in turn"
    SESSIONS_ENDED = "database sessions terminated"
    DATABASE_STOPPED = "PostgreSQL stopped at once"
    LISTENER_KILLED = "listener killed"
    LISTENER_RESTARTED = "listener restarted"
    NETWORK_CUT = "devices' network cut"
    ZONES_EDITED = "zones edited"


_EVERYWHERE = (Kind.NETWORK_CUT, Kind.ZONES_EDITED)
# What a part begins with, and what it is about.
_PARTS = (
    ((Kind.DATABASE_STOPPED,), (Kind.INGEST_KILLED, Kind.INGEST_ROLLED)),
    ((Kind.DATABASE_STOPPED,), (Kind.SESSIONS_ENDED, Kind.DATABASE_STOPPED)),
    ((), (Kind.LISTENER_KILLED, Kind.LISTENER_RESTARTED)),
)


@dataclass(frozen=True, slots=True)
class Planned:
    """at_s: since the load began."""

    kind: Kind
    at_s: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One that was done: when, until the system was ready again, until nothing waited any more."""

    kind: Kind
    began_s: float
    ended_s: float
    caught_up_s: float | None = None


def planned(seconds: float, seed: int) -> list[Planned]:
    """Plan the faults of a run of about this many seconds; each kind at least once, however short
    that is.
    """
    random = np.random.default_rng([seed, 4])
    calm_s = min(CALM_S, seconds / 10)
    part_s = (seconds - 2 * calm_s) / len(_PARTS)
    found: list[Planned] = []
    for number, (first, own) in enumerate(_PARTS):
        kinds = (*own, *_EVERYWHERE)
        count = max(len(kinds), round(part_s / SLOT_S) - len(first))
        shuffled = random.permutation([str(kind) for kind in islice(cycle(kinds), count)])
        in_turn = [*first, *shuffled.tolist()]
        slot_s = part_s / len(in_turn)
        begins_s = calm_s + number * part_s
        for slot, kind in enumerate(in_turn):
            at_s = begins_s + (slot + float(random.uniform(0, 0.25))) * slot_s
            found.append(Planned(Kind(kind), round(at_s, 1)))
    return found


@dataclass(slots=True)
class Scene:
    """The system that is broken. client: signed in to the background's organization."""

    system: FaultSystem
    link: Link
    client: ApiClient
    cuts: int = 0

    def owner(self) -> Ingest:
        """Return the ingest that runs: but for a moment of a restart there is one."""
        return next(one for one in self.system.ingests if one.is_running)

    async def until_ready(self) -> None:
        await self.system.until(lambda: self.owner().is_ready(), "ingest is ready again", _BACK_S)


async def signed_in(client: ApiClient) -> None:
    """Sign in as who may edit the background's zones."""
    organization = format_id("org", setup_rows.ORGANIZATION)
    await client.sign_in(organization, soak_load.EMAIL, soak_load.PASSWORD)


async def done(kind: Kind, scene: Scene) -> None:
    """Raise StackError, stack.scenario.api_client.ApiError where the system does not come back."""
    await _DO[kind](scene)
    await scene.until_ready()


async def _ingest_killed(scene: Scene) -> None:
    ingest = scene.owner()
    await ingest.kill()
    ingest.start()
    await ingest.ready()


async def _ingest_rolled(scene: Scene) -> None:
    """Start the successor of ingest before its predecessor goes."""
    old = scene.owner()
    new = next(one for one in scene.system.ingests if one is not old)
    new.start()
    await scene.system.until(answers_ready(f"{new.url}/healthz"), "the successor answers")
    await asyncio.sleep(2)
    await old.stop()
    await new.ready()


async def _sessions_ended(scene: Scene) -> None:
    async with scene.system.admin() as conn:
        for _ in range(5):
            await terminate_sessions(conn)
            await asyncio.sleep(0.5)


async def _database_stopped(scene: Scene) -> None:
    await scene.system.hit("postgres", signal.SIGQUIT)


async def _listener_killed(scene: Scene) -> None:
    await scene.system.hit("listener", signal.SIGKILL)


async def _listener_restarted(scene: Scene) -> None:
    await scene.system.hit("listener", signal.SIGTERM)


async def _network_cut(scene: Scene) -> None:
    """Cut the network in order, hard, and so that nothing gets through for a while, in turn."""
    link = scene.link
    (link.cut, link.reset, link.stall)[scene.cuts % 3]()
    scene.cuts += 1
    await asyncio.sleep(_STALLED_S)
    link.go_on()


async def _zones_edited(scene: Scene) -> None:
    """Draw zones among the fleet, make them larger, and delete them."""
    zones: list[str] = []
    for number in range(_ZONES):
        centre = [workload.CENTRE_LON + number / 50, workload.CENTRE_LAT]
        body = {
            "name": f"Edited {number}",
            "geometry": {"type": "Point", "coordinates": centre},
            "radius_m": 1_000,
            "kind": "restricted",
        }
        zones.append((await scene.client.post("/v1/zones", body))["id"])
    for zone in zones:
        await scene.client.patch(f"/v1/zones/{zone}", {"radius_m": 2_000})
    for zone in zones:
        await scene.client.delete(f"/v1/zones/{zone}")


_DO: Mapping[Kind, Callable[[Scene], Awaitable[None]]] = {
    Kind.INGEST_KILLED: _ingest_killed,
    Kind.INGEST_ROLLED: _ingest_rolled,
    Kind.SESSIONS_ENDED: _sessions_ended,
    Kind.DATABASE_STOPPED: _database_stopped,
    Kind.LISTENER_KILLED: _listener_killed,
    Kind.LISTENER_RESTARTED: _listener_restarted,
    Kind.NETWORK_CUT: _network_cut,
    Kind.ZONES_EDITED: _zones_edited,
}


def counted(faults: Sequence[Fault]) -> Mapping[Kind, int]:
    """Count how often each fault was done."""
    return {kind: sum(one.kind is kind for one in faults) for kind in _DO}
