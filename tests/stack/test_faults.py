"""The promise, on the whole system: whatever is killed, a run comes out as if nothing had been."""

import asyncio
import os
import signal
import time
from pathlib import Path

import psycopg
import pytest

from stack.runtime import read_stack
from stack.system import running_stack
from tests.stack.test_sim import sim

FAULTS = (
    "duplicate=0.03,reorder=0.05,offline=0.005,offline_newest_first=0.005,replay=0.005,"
    "frozen_clock=0.005,jump=0.01,rollover=0.02,clock_1980=0.02,clock_2038=0.01,day_ahead=0.02,"
    "null_island=0.02,nan=0.01,truncated=0.02,reconnect=5"
)
RUN_S = 12
KILLS = ("ingest", "ingest", "postgres", "ingest")


def _wait_for_fixes(data_dir: Path) -> None:
    """Returns when the run has begun: how long that takes depends on what else the machine does."""
    give_up = time.monotonic() + 60
    with psycopg.connect(read_stack(data_dir).database["admin"], autocommit=True) as conn:
        while conn.execute("SELECT FROM gps_events LIMIT 1").fetchone() is None:
            assert time.monotonic() < give_up, "no fix was stored"
            time.sleep(0.1)


def _kill(data_dir: Path, part: str, before: set[int]) -> int:
    """Kills the part, once it runs again where it was killed before."""
    give_up = time.monotonic() + 60
    while (pid := read_stack(data_dir).parts[part].pid) is None or pid in before:
        assert time.monotonic() < give_up, f"{part} was not started again"
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_killing_ingest_and_postgresql_during_a_run_loses_and_doubles_nothing(
    data_dir: Path,
) -> None:
    async with running_stack(data_dir, lambda _text: None, asyncio.Event()):
        options = ["--trackers", "30", "--rate", "10", "--seconds", str(RUN_S)]
        options += ["--rules", "untimed", "--edits", "0"]  # deadlines would overtake fixes
        run = asyncio.create_task(sim(data_dir, *options))
        await asyncio.to_thread(_wait_for_fixes, data_dir)
        killed: set[int] = set()
        for part in KILLS:
            killed.add(await asyncio.to_thread(_kill, data_dir, part, killed))
            await asyncio.sleep(1)
        code, result = await run
    assert (code, result["good"]) == (0, True), result
    assert result["sent"] == result["verify"]["fixes"]["found"] == 30 * 10 * RUN_S
    assert result["verify"]["events"]["found"] > 0


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_faulty_trackers_and_kills_of_ingest_and_broker_cost_nothing(data_dir: Path) -> None:
    """With receipts nothing is lost even where the broker forgets what it had acknowledged."""
    options = ["--trackers", "12", "--rate", "4", "--seconds", str(RUN_S)]
    with_receipts = ["--receipts", "--resend-seconds", "2"]
    async with running_stack(data_dir, lambda _text: None, asyncio.Event()):
        run = asyncio.create_task(sim(data_dir, *options, "--faults", FAULTS))
        await asyncio.to_thread(_wait_for_fixes, data_dir)
        killed = {await asyncio.to_thread(_kill, data_dir, "ingest", set())}
        code, faulty = await run
        assert (code, faulty["good"]) == (0, True), faulty
        assert all(faulty["verify"][what]["found"] > 0 for what in faulty["verify"])

        run = asyncio.create_task(sim(data_dir, *options, "--edits", "0", *with_receipts))
        await asyncio.sleep(RUN_S / 2)
        await asyncio.to_thread(_kill, data_dir, "broker", set())
        await asyncio.to_thread(_kill, data_dir, "ingest", killed)
        code, confirmed = await run
    assert (code, confirmed["good"]) == (0, True), confirmed
    assert confirmed["sent"] == confirmed["stored"] == 12 * 4 * RUN_S
