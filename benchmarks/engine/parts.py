"""The parts of a run of `benchmarks.engine.run`: each gives one figure.

Times are processor time of the thread that works: the engine works in one thread, and a machine
that does other things too makes the wall clock say more of these than of the engine.
"""

import multiprocessing
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median

from benchmarks.common.workload import START_US, Floats, tracks, zone_rings
from benchmarks.engine.load import (
    FIXES_PER_TRACKER,
    Journey,
    detailed,
    plan_of,
    share_near,
    tracks_near,
    versions_of,
)
from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.lookup import inside
from geofence.judging.state import State
from geofence.model.rules import Gates
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch

BATCH = 10_000
_BATCHES = {1: 2_000, 100: 400, 1_000: 80}
_BIG_ZONES = 100
_POOL = 10_000  # tracks to choose from
_NEAR_TRACKERS = 500


class Subject:
    """One index, one state, and the fixes that it is given in order of time."""

    def __init__(self, index: ZoneIndex, journey: Journey) -> None:
        self.index, self.journey, self.state = index, journey, State()
        self._gates = Gates.default()
        for _ in range(len(journey) // BATCH):  # all assets are known, all code is compiled
            self.step(BATCH)

    def step(self, size: int) -> float:
        """Judge the next batch and take it in; nanoseconds a fix of judging alone."""
        batch = self.journey.next(size)
        begin = time.thread_time_ns()
        evaluation = evaluate(batch, self.state, self.index, NO_TIMERS_US, self._gates)
        spent = time.thread_time_ns() - begin
        self.state.apply(evaluation.delta)
        return spent / size

    def ns_per_fix(self, size: int = BATCH) -> float:
        """Return the median of many batches, after one."""
        self.step(size)
        return median(self.step(size) for _ in range(_BATCHES.get(size, 24)))


@cache
def versions(zones: int) -> list[ZoneVersion]:
    return versions_of(zone_rings(plan_of(zones)))


@cache
def by_zones(zones: int) -> Subject:
    return Subject(ZoneIndex(versions(zones)), Journey.of(plan_of(zones)))


@cache
def by_vertices(vertices: int) -> Subject:
    plan = plan_of(_BIG_ZONES)
    rings = [detailed(ring, vertices) for ring in zone_rings(plan)]
    return Subject(ZoneIndex(versions_of(rings)), Journey.of(plan))


@cache
def by_share_near(wanted: float) -> Subject:
    plan = plan_of(10_000, _POOL)
    fixes = tracks(plan, FIXES_PER_TRACKER)
    chosen = tracks_near(fixes, _shares(), wanted, _NEAR_TRACKERS)
    return Subject(by_zones(10_000).index, Journey(chosen))


@cache
def _shares() -> Floats:
    plan = plan_of(10_000, _POOL)
    return share_near(tracks(plan, FIXES_PER_TRACKER), zone_rings(plan))


def points(zones: int) -> FixBatch:
    """Return the same fixes for ours and for the peers."""
    return Journey.of(plan_of(zones)).next(BATCH)


def containment_ns(zones: int) -> float:
    """Measure which zones cover each fix, without state or rules."""
    rows, index = points(zones).rows, by_zones(zones).index
    columns = (rows["organization"], rows["time_us"].copy(), rows["asset"])
    lon, lat = rows["lon"].copy(), rows["lat"].copy()
    return timed_ns(lambda: inside(index, lon, lat, *columns)) / len(rows)


def timed_ns(work: Callable[[], object], times: int = 5) -> float:
    """Measure processor time: the median of a few runs after one."""
    work()
    spent: list[int] = []
    for _ in range(times):
        begin = time.thread_time_ns()
        work()
        spent.append(time.thread_time_ns() - begin)
    return median(spent)


def build_s(zones: int) -> float:
    given = versions(zones)
    begin = time.thread_time_ns()
    ZoneIndex(given)
    return (time.thread_time_ns() - begin) / 1e9


def edit_ms(zones: int) -> float:
    """Return a new version of one zone, edit after edit."""
    edits = _Edits(zones)
    return median(edits.next(time.thread_time_ns) for _ in range(20))


def edit_while_judging_ms(zones: int) -> float:
    """Return the same by the wall clock, while another thread judges."""
    subject, edits, stop = by_zones(zones), _Edits(zones), threading.Event()

    def judge() -> None:
        while not stop.is_set():
            subject.step(BATCH)

    judging = threading.Thread(target=judge)
    judging.start()
    spent = median(edits.next(time.perf_counter_ns) for _ in range(20))
    stop.set()
    judging.join()
    return spent


class _Edits:
    """Versions of zone 0, each in the index that the one before has made."""

    def __init__(self, zones: int) -> None:
        self._index, self._shape = by_zones(zones).index, versions(zones)[1].shape
        self._version = 1
        self.next(time.thread_time_ns)  # the first one makes room for those that follow

    def next(self, clock_ns: Callable[[], int]) -> float:
        """Return milliseconds."""
        self._version += 1
        begins_us = START_US + 10**15 + self._version
        edited = ZoneVersion(0, self._version, 0, self._shape, valid_from_us=begins_us)
        begin = clock_ns()
        self._index = self._index.with_changes([edited])
        return (clock_ns() - begin) / 1e6


def index_mib(zones: int) -> float:
    """Measure how much a process grows when it builds the index; in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth_mib, (zones,))


def _growth_mib(zones: int) -> float:
    versions(100)
    ZoneIndex(versions(100))
    given = versions(zones)
    before = _resident_mib()
    index = ZoneIndex(given)
    grown = _resident_mib() - before
    assert len(index) == zones
    return grown


def _resident_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
