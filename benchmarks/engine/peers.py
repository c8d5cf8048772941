"""Other answers to "which zones is this point in", on the same points and zones.

None of them judges: no state, no ways between fixes, no confirmation. Ours does all that in the
figure that theirs are held against.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, LiteralString
from uuid import UUID

import numpy as np
import psycopg
import shapely

from benchmarks.common.baseline import Fences
from benchmarks.common.workload import zone_rings
from benchmarks.engine.load import plan_of
from benchmarks.engine.parts import BATCH, points, timed_ns
from stack.host.os_user import reachable_home
from stack.host.programs import POSTGRES_BIN, POSTGRES_MAJOR, Programs
from stack.servers.postgres import Postgres, free_port

# Tile38's own order of magnitude for one SET with fences, as the project's goals quote it. It is
# not measured here.
TILE38_SET_NS = 10_000.0
POSTGIS = f"usr/share/postgresql/{POSTGRES_MAJOR}/extension/postgis.control"
_ONE_BY_ONE = 2_000  # points for those that take them singly
_JOINS = 5


@cache
def _areas(zones: int) -> list[shapely.Polygon]:
    return [shapely.Polygon(ring) for ring in zone_rings(plan_of(zones))]


@cache
def _fences(zones: int) -> Fences:
    return Fences((UUID(int=n), shapely.geometry.mapping(a)) for n, a in enumerate(_areas(zones)))


def rtree_ns(zones: int) -> float:
    """Return the usual way: rtree and one shapely test per point and candidate, who is where in a
    dict.
    """
    fences, rows = _fences(zones), points(zones).rows[:_ONE_BY_ONE]
    tracker = UUID(int=0)
    places = list(zip(rows["lat"].tolist(), rows["lon"].tolist(), strict=True))

    def work() -> None:
        for lat, lon in places:
            fences.crossed(tracker, lat, lon)

    return timed_ns(work, times=3) / len(places)


def strtree_ns(zones: int) -> float:
    """Measure shapely's packed tree in bulk, then the exact test on prepared areas."""
    tree, prepared = _prepared(zones)
    rows = points(zones).rows

    def work() -> Any:
        point, zone = tree.query(shapely.points(rows["lon"], rows["lat"]))
        return shapely.intersects_xy(prepared[zone], rows["lon"][point], rows["lat"][point])

    return timed_ns(work) / len(rows)


@cache
def _prepared(zones: int) -> tuple[shapely.STRtree, Any]:
    areas = np.array(_areas(zones), dtype=object)
    shapely.prepare(areas)
    return shapely.STRtree(areas), areas


def has_postgis(root: Path) -> bool:
    return (root / POSTGIS).exists() and (root / POSTGRES_BIN / "postgres").exists()


@contextmanager
def running_postgis(root: Path, zones: int) -> Iterator[Callable[[], float]]:
    """Provide a function that measures the nanoseconds a point of a join.

    root: the folder in which PostgreSQL and PostGIS are unpacked; `/` where they are installed.
    """
    libraries = [root / "usr/lib", *sorted((root / "usr/lib").glob("*-linux-*"))]
    libraries += [path / part for path in libraries for part in ("blas", "lapack")]
    found = {} if root == Path("/") else {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    programs = Programs(root / POSTGRES_BIN, found)
    parent = reachable_home(Path("var/bench"))
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as ending:
        folder = Path(mkdtemp(dir=parent))
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        settings = {"shared_preload_libraries": "", "fsync": "off"}
        server = Postgres(programs, folder / "pg", free_port(0), folder / "pg.log", settings)
        ending.callback(server.start().stop)
        conn = ending.enter_context(psycopg.connect(server.url(), autocommit=True))
        conn.execute("CREATE EXTENSION postgis")
        conn.execute("SET max_parallel_workers_per_gather = 0")
        _load(conn, zones)
        yield lambda: _join_ns(conn)


def _load(conn: psycopg.Connection[Any], zones: int) -> None:
    conn.execute("CREATE UNLOGGED TABLE zone (area geometry)")
    conn.execute("CREATE UNLOGGED TABLE place (place geometry)")
    rows = points(zones).rows
    _copy(conn, "COPY zone FROM STDIN", _areas(zones))
    _copy(conn, "COPY place FROM STDIN", shapely.points(rows["lon"], rows["lat"]))
    conn.execute("CREATE INDEX ON zone USING gist (area)")
    conn.execute("VACUUM ANALYZE zone, place")


def _copy(conn: psycopg.Connection[Any], statement: LiteralString, shapes: Any) -> None:
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for wkb in shapely.to_wkb(np.asarray(shapes, dtype=object), hex=True):
            copy.write_row((wkb,))


def _join_ns(conn: psycopg.Connection[Any]) -> float:
    """Measure processor time of the server's process, which the kernel counts in hundredths of a
    second.
    """
    ticks = Path(f"/proc/{conn.info.backend_pid}/stat")
    before = _ticks(ticks)
    for _ in range(_JOINS):
        conn.execute("SELECT count(*) FROM place JOIN zone ON ST_Covers(area, place)").fetchone()
    seconds = (_ticks(ticks) - before) / os.sysconf("SC_CLK_TCK")
    return 1e9 * seconds / (_JOINS * BATCH)


def _ticks(stat: Path) -> int:
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]
    return int(user) + int(system)
