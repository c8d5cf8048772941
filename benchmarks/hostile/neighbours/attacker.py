"""One process of an attacker (`benchmarks.hostile.neighbours.attacks`).

    python -m benchmarks.hostile.neighbours.attacker NUMBER GROUND SECONDS SHARE

Waits for a line on stdin, attacks for SECONDS with the attack of that number in the table, and
prints what it was told as JSON. GROUND: what `preparation` made for it. SHARE: of one core that it
may use.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.hostile.crowd import Throttle
from benchmarks.hostile.neighbours.attacks import ATTACKS
from benchmarks.hostile.neighbours.force import Attacker

NICE = 10
TURN_S = 0.005


async def _attack(attacker: Attacker, number: int, seconds: float, throttle: Throttle) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            resting = group.create_task(_rest(throttle))
            await ATTACKS[number].attack(attacker)
            attacker.told["done"] += 1
            resting.cancel()


async def _rest(throttle: Throttle) -> None:
    """Hold the process to its share: all of it sleeps."""
    while True:
        await asyncio.sleep(TURN_S)
        throttle.rest()


def main(arguments: Sequence[str]) -> int:
    number, path, seconds, share = arguments
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    attacker = Attacker(json.loads(Path(path).read_text()))
    os.nice(NICE)
    print("ready", flush=True)
    sys.stdin.readline()
    throttle = Throttle(float(share))
    asyncio.run(_attack(attacker, int(number), float(seconds), throttle))
    print(json.dumps({"cpu_s": round(throttle.used_s, 2), "told": attacker.told}), flush=True)
    os._exit(0)  # thousands of connections end at once


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
