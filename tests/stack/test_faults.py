"""The promise, on the whole system: whatever is broken, a run comes out as if nothing had been.

`make faults` does all rows in full (docs/faults.md).
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.faults.load import Tally, tally
from benchmarks.faults.proxy import Link
from benchmarks.faults.rows import ROWS, chosen
from benchmarks.faults.run import RowResult, run_rows
from benchmarks.faults.system import set_clock
from stack.verify.comparison import Comparison

IN_SHORT = ["1", "1p", "3", "3a", "4", "6", "7", "11", "13k", "14", "18", "18s", "19", "25"]


@pytest.mark.acceptance
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("programs")
async def test_whatever_is_broken_nothing_is_lost_doubled_disordered_or_untold() -> None:
    results: dict[str, RowResult] = {}
    async for one in run_rows(IN_SHORT, is_short=True, seed=1, say=print):
        results[one.key] = one
        assert one.is_good, json.dumps(one.as_json(), indent=1)  # whole: a repr is cut
        assert one.loaded is not None, f"row {one.key} was skipped: {one.skipped}"
        assert one.done, f"row {one.key} did nothing"
        assert one.loaded.events > 0
        assert one.loaded.whole == one.loaded.assets > 0
        assert min(one.loaded.by_qos.values()) > 0
        assert one.loaded.webhooks == one.loaded.events
    assert list(results) == IN_SHORT


def test_a_number_chooses_a_row_and_its_variants() -> None:
    assert chosen("3, 12") == ["3", "3a", "3b", "12", "12c"]
    assert chosen("3a") == ["3a"]
    assert chosen(None) == list(ROWS)


@pytest.mark.parametrize("text", ["", "2,99", "x"])
def test_a_row_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="none of the rows"):
        chosen(text)


# Which difference counts as what: (comparison, kind, field of the tally).
KINDS = [
    ("fixes", "lost", "lost"),
    ("fixes", "stored twice", "duplicate"),
    ("fixes", "never acknowledged", "other"),
    ("fixes", "changed", "other"),
    ("refused", "missing", "other"),
    ("visits", "missing", "events"),
    ("stays", "not expected", "events"),
    ("events", "missing", "events"),
    ("events", "twice", "events"),
    ("events", "out of order", "order"),
    ("events", "gap in seq", "order"),
    ("webhooks", "never received", "webhooks"),
]


@pytest.mark.parametrize(("what", "kind", "counted"), KINDS)
def test_every_difference_is_counted_once(what: str, kind: str, counted: str) -> None:
    names = ("fixes", "refused", "visits", "stays", "events", "webhooks")
    comparisons = {name: Comparison(name, 1, 1) for name in names}
    comparisons[what].differs(kind, "example")
    found = tally(list(comparisons.values()))
    assert found == Tally(**{counted: 1})
    assert not found.is_clean


def test_a_process_with_a_clock_of_its_own_reads_what_the_file_says(tmp_path: Path) -> None:
    tmp_path.joinpath("told.py").write_text("import time; print(time.time_ns(), time.time())")
    clock = tmp_path / "clock"
    set_clock(clock, -3600)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults.clock", clock, "told"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    told_ns, told_s = map(float, done.stdout.split())
    assert told_ns / 1e9 == pytest.approx(time.time() - 3600, abs=60)
    assert told_s == pytest.approx(told_ns / 1e9, abs=1)


# Links ---------------------------------------------------------------------------------------


@pytest.fixture
async def echo() -> asyncio.Server:
    """A server that sends back what comes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1024):
            writer.write(piece)
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return server.sockets[0].getsockname()[1]


async def test_a_link_hands_on_all_bytes_whole_or_one_at_a_time(echo: asyncio.Server) -> None:
    content = bytes(range(256)) * 40
    async with echo, Link(port_of(echo)) as link:
        for way in (link.go_on, link.dribble):
            way()
            reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
            writer.write(content)
            assert await reader.readexactly(len(content)) == content
            writer.close()
        assert link.passed == 2


async def test_a_stalled_link_hands_on_nothing_until_it_goes_on(echo: asyncio.Server) -> None:
    async with echo, Link(port_of(echo)) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        link.stall()
        writer.write(b"held")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        link.go_on()
        assert await reader.readexactly(4) == b"held"
        writer.close()


async def test_a_link_that_is_cut_ends_and_one_that_is_reset_breaks(echo: asyncio.Server) -> None:
    async with echo, Link(port_of(echo)) as link:
        for way, ends_well in ((link.cut, True), (link.reset, False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            way()
            if ends_well:
                assert await reader.read() == b""
            else:
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            writer.close()


async def test_a_link_to_nobody_ends_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with Link(unused.getsockname()[1]) as link:
            reader, _ = await asyncio.open_connection("127.0.0.1", link.port)
            assert await reader.read() == b""
