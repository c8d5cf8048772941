"""The live map in a browser: assets that move once a second, for two minutes.

    python -m benchmarks.live.dashboard [--assets N] [--seconds N] [--viewers N] [--no-result]

Starts the API and Chromium, as the tests do, opens the map, and writes a position of each asset
each second as ingest does. Says of the page's main thread the longest task after the first drawing,
but for the collections of garbage that the run itself asks for, and the time in scripts a second,
the frames (drawn by software here), and how the heap grew after 30 s; and of the API the processor
time a second for this viewer, and then for others, programs with boxes. Goals: no task above
100 ms, 250 ms of scripts a second, a heap of at most 1.2 of that.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import websockets
from playwright.async_api import CDPSession, Page, async_playwright

from api.auth.passwords import hash_password
from benchmarks.common import machine
from benchmarks.common import rows as setup_rows
from benchmarks.common.environment import Environment, running_environment
from benchmarks.common.rows import ORGANIZATION
from benchmarks.common.subject import cpu_s
from benchmarks.live.positions import BOX_DEG, World
from benchmarks.live.run import LiveBench, served
from db.core.connect import connect
from db.history.latest_positions import commit_without_wait, write
from telemetry.ids import format_id
from tests.clients.node import NODE
from tests.dashboard.browser import ARGUMENTS, environment, program

LONGEST_TASK_MS, SCRIPT_MS, HEAP_RATIO = 100.0, 250.0, 1.2
_WARM_UP_S, _HEAP_AFTER_S = 15, 30
_EMAIL, _PASSWORD = "viewer@example.com", "a long password of a benchmark"
_WATCH = """
window.tasks = []; window.frames = 0;
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) window.tasks.push([startTime, duration])
}).observe({ type: 'longtask', buffered: true });
const count = () => { window.frames += 1; requestAnimationFrame(count) };
requestAnimationFrame(count);
"""


@dataclass
class Figures:
    """The figures of the time after the warm-up. heap_ratio: the end against 30 s into the run."""

    longest_task_ms: float
    tasks_above_100_ms: int
    script_ms_per_s: float
    frames_per_s: float
    heap_bytes: float
    heap_ratio: float
    api_one_viewer: float
    api_boxes: float

    @property
    def is_good(self) -> bool:
        has_short_tasks = self.longest_task_ms <= LONGEST_TASK_MS
        return (
            has_short_tasks and self.script_ms_per_s <= SCRIPT_MS and self.heap_ratio <= HEAP_RATIO
        )


async def play(environment_: Environment, bench: LiveBench, options: argparse.Namespace) -> Figures:
    environment_.admin.execute("UPDATE organizations SET plan = 'unlimited'")
    token = bench.user(ORGANIZATION, _EMAIL, hash_password(_PASSWORD))
    async with AsyncExitStack() as stack:
        conn = await stack.enter_async_context(await connect(environment_.ingest_url, "bench"))
        await commit_without_wait(conn)
        world = World(options.assets)
        await write(conn, world.at(0))
        os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(NODE)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=program(),
            args=[*ARGUMENTS, "--enable-precise-memory-info"],
            env={**environment()},
        )
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.add_init_script(_WATCH)
        await _sign_in(page, bench.url)
        moving = asyncio.create_task(_move(conn, world))
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Performance.enable")
        await asyncio.sleep(_WARM_UP_S)
        seen = await _seen(page, devtools, bench.pid, options.seconds)
        await browser.close()
        boxes = await _boxes(bench, token, options, world.random)
        if moving.done():
            moving.result()  # raises what ended it: nothing moved since
        moving.cancel()
        return Figures(**seen, api_boxes=boxes)


async def _sign_in(page: Page, url: str) -> None:
    org_id = format_id("org", ORGANIZATION)
    await page.goto(f"{url}/app/sign-in?organization={org_id}")
    await page.locator("input[name=email]").fill(_EMAIL)
    await page.locator("input[name=password]").fill(_PASSWORD)
    await page.locator("button[type=submit]").click()
    await page.locator(".map[data-state=drawn]").wait_for(timeout=60_000)


async def _move(conn: Any, world: World) -> None:
    second = 0
    while True:
        next_s = time.monotonic() + 1
        second += 1
        await write(conn, world.at(second))
        await asyncio.sleep(max(0.0, next_s - time.monotonic()))


async def _seen(page: Page, devtools: CDPSession, api_pid: int, seconds: int) -> dict[str, Any]:
    """Return what the page did, and what the API did for it, in the next seconds."""
    from_ms = await page.evaluate("performance.now()")
    frames = await page.evaluate("window.frames")
    before, began_s, api_s = await _metrics(devtools), time.monotonic(), cpu_s(api_pid)
    await asyncio.sleep(min(_HEAP_AFTER_S, seconds / 2))
    measuring_ms = await page.evaluate("performance.now()")
    early = await _heap(devtools)
    measured_ms = await page.evaluate("performance.now()")
    await asyncio.sleep(seconds - min(_HEAP_AFTER_S, seconds / 2))
    took_s = time.monotonic() - began_s
    used_s = cpu_s(api_pid) - api_s
    after = await _metrics(devtools)
    tasks = [
        ms
        for start, ms in await page.evaluate("window.tasks")
        if start >= from_ms and not measuring_ms <= start <= measured_ms  # our own collection
    ]
    heap = await _heap(devtools)
    return {
        "longest_task_ms": max(tasks, default=0.0),
        "tasks_above_100_ms": sum(ms > LONGEST_TASK_MS for ms in tasks),
        "script_ms_per_s": (after["ScriptDuration"] - before["ScriptDuration"]) / took_s * 1e3,
        "frames_per_s": (await page.evaluate("window.frames") - frames) / took_s,
        "heap_bytes": heap,
        "heap_ratio": heap / early,
        "api_one_viewer": used_s / took_s,
    }


async def _metrics(devtools: CDPSession) -> dict[str, float]:
    found = await devtools.send("Performance.getMetrics")
    return {each["name"]: each["value"] for each in found["metrics"]}


async def _heap(devtools: CDPSession) -> float:
    """Return what the page holds, without what the collector has not come to."""
    await devtools.send("HeapProfiler.collectGarbage")
    return (await _metrics(devtools))["JSHeapUsedSize"]


async def _boxes(
    bench: LiveBench, token: str, options: argparse.Namespace, random: np.random.Generator
) -> float:
    """Return the processor time of the API a second for viewers with boxes."""
    boxes = random.uniform(0, 1 - BOX_DEG, (options.viewers, 2)).tolist()
    async with AsyncExitStack() as stack:
        readers: list[asyncio.Task[None]] = []
        for west, south in boxes:
            url = "ws" + bench.url.removeprefix("http") + "/v1/ws"
            socket = await stack.enter_async_context(websockets.connect(url, proxy=None))
            await socket.send(json.dumps({"op": "authenticate", "token": token}))
            bbox = [west, south, west + BOX_DEG, south + BOX_DEG]
            wanted = {"op": "subscribe", "id": 1, "channel": "positions", "bbox": bbox}
            await socket.send(json.dumps(wanted))
            answers = [json.loads(await socket.recv())["op"] for _ in range(2)]
            assert answers == ["authenticated", "subscribed"], answers
            readers.append(asyncio.create_task(_read(socket)))
        await asyncio.sleep(3)
        began_s, used_s = time.monotonic(), cpu_s(bench.pid)
        await asyncio.sleep(min(30, options.seconds))
        share = (cpu_s(bench.pid) - used_s) / (time.monotonic() - began_s)
        for reader in readers:
            reader.cancel()
        return share


async def _read(socket: websockets.ClientConnection) -> None:
    async for _ in socket:
        pass


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("benchmarks.live.dashboard", description="The map, seen.")
    parser.add_argument("--assets", type=int, default=10_000, help="that move (default 10,000)")
    parser.add_argument("--seconds", type=int, default=120, help="of the run (default 120)")
    parser.add_argument("--viewers", type=int, default=49, help="with boxes (default 49)")
    parser.add_argument("--no-result", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    load_before = os.getloadavg()
    with running_environment() as environment_, served(environment_) as bench:
        setup_rows.add_fleet(environment_.admin, options.assets, [])
        figures = asyncio.run(play(environment_, bench, options))
    for name, value in asdict(figures).items():
        print(f"{name:<20} {value:>14,.2f}")
    print("good" if figures.is_good else "not good")
    if not options.no_result:
        facts = {"configuration": vars(options), "figures": asdict(figures)}
        path = machine.write_result(
            "dashboard", {**machine.about(load_before=load_before), **facts}
        )
        print(f"written: {path}")
    return 0 if figures.is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
