"""The promise, on the whole system: whatever is killed, a run comes out as if nothing had been."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from stack.runtime import read_stack
from stack.system import running_stack
from tests.stack.test_sim import sim

RUN_S = 12
KILLS = [("ingest", 2.0), ("ingest", 2.0), ("postgres", 2.0), ("ingest", 2.0)]


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_killing_ingest_and_postgresql_during_a_run_loses_and_doubles_nothing(
    data_dir: Path,
) -> None:
    async with running_stack(data_dir, lambda _text: None, asyncio.Event()):
        options = ["--trackers", "30", "--rate", "10", "--seconds", str(RUN_S)]
        run = asyncio.create_task(sim(data_dir, *options))
        await asyncio.sleep(3)
        for part, pause_s in KILLS:
            pid = read_stack(data_dir).parts[part].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(pause_s)
        code, result = await run
    assert (code, result["good"]) == (0, True), result
    assert result["sent"] == result["verify"]["fixes"]["found"] == 30 * 10 * RUN_S
    assert result["verify"]["events"]["found"] > 0
