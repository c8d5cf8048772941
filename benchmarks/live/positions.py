"""The live map in one process: assets that move once a second, and viewers with boxes.

    python -m benchmarks.live.positions [--assets N] [--viewers N] [--seconds N] [--slow N]

Makes a database of its own with an organization, writes a position of each asset each second as
ingest does, and takes what is due for each viewer from one `PositionFeed`. Shows the processor time
that writing, the feed and the viewers' taking cost each second of the run, and what was due to the
viewers before and after each taking: what is due never exceeds the assets, and a viewer that takes
seldom gets fewer positions. Slow viewers take every ten seconds.
"""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console

from api.live.feeds.positions import PositionFeed, PositionSubscription, WantedPositions
from benchmarks.common import rows as setup_rows
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.rows import ORGANIZATION, asset_uuid
from db.core.connect import connect, pool
from db.history.latest_positions import NewPositions, commit_without_wait, write

SLOW_S = 10
BOX_DEG = 0.2  # of a degree square on which the assets lie


@dataclass
class World:
    """Assets that go round in circles, each in a place of its own within one degree."""

    assets: int
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def __post_init__(self) -> None:
        n = self.assets
        self._org = np.frombuffer(ORGANIZATION.bytes * n, "V16")
        self._asset = np.frombuffer(b"".join(asset_uuid(one).bytes for one in range(n)), "V16")
        self._lat, self._lon = self.random.uniform(0, 1, n), self.random.uniform(0, 1, n)

    def at(self, second: int) -> NewPositions:
        """Return the places of all assets in a second of the run."""
        n, turn = self.assets, second / 30 * math.tau
        same = np.full(n, 12.5, np.float32)
        return NewPositions(
            org_id=self._org,
            asset_id=self._asset,
            tracker_id=self._asset,
            time_us=np.full(n, time.time_ns() // 1000),
            seq=np.full(n, second, np.int32),
            lat=self._lat + 0.02 * math.sin(turn),
            lon=self._lon + 0.02 * math.cos(turn),
            speed_mps=same,
            course_deg=same,
            accuracy_m=same,
        )


@dataclass
class Taken:
    """The processor time of each part, seconds, and what viewers took."""

    writing_s: float = 0.0
    taking_s: float = 0.0
    bodies: int = 0
    payload_bytes: int = 0
    most_due: int = 0
    seconds: int = 0


async def play(environment: Environment, options: argparse.Namespace) -> tuple[Taken, float]:
    """Return what was taken, and the processor time of all of this process."""
    world, taken = World(options.assets), Taken()
    random = world.random
    boxes = random.uniform(0, 1 - BOX_DEG, (options.viewers, 2)).tolist()
    async with (
        pool(environment.app_url, "bench", max_size=4) as connections,
        await connect(environment.ingest_url, "bench") as conn,
    ):
        await commit_without_wait(conn)
        await write(conn, world.at(0))
        feed = PositionFeed(connections)
        viewers = [
            await feed.subscribe(
                ORGANIZATION,
                WantedPositions(bbox=(west, south, west + BOX_DEG, south + BOX_DEG)),
                lambda: None,
            )
            for west, south in boxes
        ]
        _take(viewers, taken)  # the snapshots
        taken.bodies = taken.payload_bytes = taken.most_due = 0
        taken.taking_s = 0.0
        started_s = time.process_time()
        for second in range(1, options.seconds + 1):
            next_s = time.monotonic() + 1
            before_s = time.process_time()
            await write(conn, world.at(second))
            taken.writing_s += time.process_time() - before_s
            await feed.look()
            fast = viewers if second % SLOW_S == 0 else viewers[options.slow :]
            _take(fast, taken)
            taken.seconds += 1
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        return taken, time.process_time() - started_s


def _take(viewers: Sequence[PositionSubscription], taken: Taken) -> None:
    before_s = time.process_time()
    for viewer in viewers:
        bodies = viewer.pull()
        taken.most_due = max(taken.most_due, len(bodies))
        taken.bodies += len(bodies)
        taken.payload_bytes += sum(map(len, bodies))
    taken.taking_s += time.process_time() - before_s


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("benchmarks.live.positions", description="The live map.")
    parser.add_argument("--assets", type=int, default=10_000, help="that move (default 10,000)")
    parser.add_argument("--viewers", type=int, default=50, help="with boxes (default 50)")
    parser.add_argument("--slow", type=int, default=5, help="of them, slow ones (default 5)")
    parser.add_argument("--seconds", type=int, default=60, help="of the run (default 60)")
    options, console = parser.parse_args(arguments), Console()
    with running_environment() as environment:
        setup_rows.add_fleet(environment.admin, options.assets, [])
        taken, all_s = asyncio.run(play(environment, options))
    each_s = 1000 / taken.seconds
    feed_s = all_s - taken.writing_s - taken.taking_s
    console.print(
        f"{options.assets:,} assets at 1 Hz, {options.viewers} viewers, processor time of each"
        f" second: writing {taken.writing_s * each_s:.1f} ms, feed {feed_s * each_s:.1f} ms,"
        f" taking {taken.taking_s * each_s:.1f} ms; {taken.bodies / taken.seconds:,.0f} positions"
        f" ({taken.payload_bytes / taken.seconds / 1e6:.1f} MB) a second; at most"
        f" {taken.most_due:,} due to a viewer at a time"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
