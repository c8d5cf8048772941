"""Job sites near a punch, by number of jobsites: the first time in a process, later, and after an
edit.

    pytest --benchmark-enable benchmarks/test_job_sites.py

One question about one place as ingest asks it, in a transaction of its own. The times are processor
time of this process; `database_us` in a result's extra information is that of the server, for one
question. Nothing is asserted about time.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.rows import BEFORE_ANY_FIX, copy_rows, zone_uuid
from benchmarks.common.workload import START_US
from db.core.connect import Connection, connect
from db.punches import jobsites
from db.punches.sites import PunchPlace, near_zones
from db.resources.zones import geometry_hash
from geofence.shapes.geojson import read_shape
from geofence.shapes.stored import write_wkb
from telemetry.ids import derived_id

SIZES = (1, 100, 10_000)
ROUNDS = {"first": 10, "later": 200, "after an edit": 50}
LON, LAT, STEP_DEG, HALF_DEG = 8.0, 47.0, 0.01, 0.002


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    """Servers with an organization of each size."""
    with running_environment() as running:
        for size in SIZES:
            add_jobsites(running, size)
        running.admin.execute("ANALYZE")
        yield running


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """An event loop."""
    with asyncio.Runner() as loop:
        yield loop


def organization(size: int) -> UUID:
    return derived_id(b"bench jobsites", str(size).encode())


def add_jobsites(environment: Environment, size: int) -> None:
    """Add an organization and its jobsites, a hundred in a row."""
    org_id, zones = organization(size), [zone_uuid(number) for number in range(size)]
    corners = [(LON + n % 100 * STEP_DEG, LAT + n // 100 * STEP_DEG) for n in range(size)]
    shapes = [(text := square(*at), geometry_hash(text), wkb(text)) for at in corners]
    with environment.admin.transaction():
        environment.admin.execute("SET LOCAL session_replication_role = replica")
        copy_rows(environment.admin, "organizations (org_id, name)", [(org_id, "Benchmark")])
        copy_rows(environment.admin, "zones (org_id, id, version)", ((org_id, z, 1) for z in zones))
        copy_rows(
            environment.admin,
            "zone_shapes (org_id, geometry, geometry_sha256, shape)",
            ((org_id, *shape) for shape in shapes),
        )
        copy_rows(
            environment.admin,
            "zone_versions (org_id, zone_id, version, name, kind, geometry_sha256, shape_bytes,"
            " valid_from, revision, box)",
            (
                (org_id, zone, 1, "Site", "jobsite", sha256, len(wkb), BEFORE_ANY_FIX, 1, box(*at))
                for zone, at, (_, sha256, wkb) in zip(zones, corners, shapes, strict=True)
            ),
        )


def box(west: float, south: float) -> list[float]:
    return [west, south, west + 2 * HALF_DEG, south + 2 * HALF_DEG]


def square(west: float, south: float) -> str:
    west, south, east, north = box(west, south)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def wkb(geometry: str) -> bytes:
    return write_wkb(read_shape(json.loads(geometry)))


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("use", ROUNDS)
@pytest.mark.parametrize("size", SIZES)
def test_near_zones(
    benchmark: Any, environment: Environment, runner: asyncio.Runner, size: int, use: str
) -> None:
    conn = runner.run(connect(environment.ingest_url, "benchmark"))
    place = PunchPlace(organization(size), LON, LAT, START_US)

    async def ask() -> int:
        async with conn.transaction():
            return len((await near_zones(conn, {0: place}))[0])

    before_each = {"first": forget, "later": nothing, "after an edit": edit_one}[use]
    runner.run(ask())
    began_ns = server_ns(conn)
    found = benchmark.pedantic(
        lambda: runner.run(ask()),
        setup=lambda: before_each(environment, size),
        rounds=ROUNDS[use],
    )
    assert found == min(size, 8)
    if benchmark.stats is not None:  # None with --benchmark-disable
        spent_us = (server_ns(conn) - began_ns) / ROUNDS[use] / 1000
        benchmark.extra_info["database_us"] = round(spent_us)
    runner.run(conn.close())


def nothing(environment: Environment, size: int) -> None: ...


def forget(environment: Environment, size: int) -> None:
    jobsites._cache = jobsites._Cache()


def edit_one(environment: Environment, size: int) -> None:
    """Stamp one jobsite with the next revision."""
    environment.admin.execute(
        "UPDATE zone_versions SET revision = (SELECT max(revision) + 1 FROM zone_versions)"
        " WHERE org_id = %s AND zone_id = %s",
        (organization(size), zone_uuid(size // 2)),
    )


def server_ns(conn: Connection) -> int:
    """Return the processor time that the connection's server process has used."""
    return int(Path(f"/proc/{conn.info.backend_pid}/schedstat").read_text().split()[0])
