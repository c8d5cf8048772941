"""Attackers beside a neighbour: the verdicts, the wire, and a short form of the measurement."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from benchmarks.hostile.neighbours.__main__ import Timing, chosen, play, running_system
from benchmarks.hostile.neighbours.attacks import ATTACKS
from benchmarks.hostile.neighbours.parts import family, status_kib
from benchmarks.hostile.neighbours.report import Measure, Record, Row, Waited
from benchmarks.hostile.neighbours.victim import Receiver, compare
from benchmarks.hostile.neighbours.wire import (
    HOST,
    WS_BEGIN,
    Answer,
    HttpConnection,
    headers_of,
    read_answer,
    request,
    ws_text,
)
from tests.servers import data_folder

MS = 1_000_000


def waited(p99_ms: float, count: int = 100) -> Waited:
    return Waited(p99_ms / 2, p99_ms, p99_ms * 2, count)


def measure(before_ms: float, attack_ms: float, after_ms: float) -> Measure:
    return Measure(waited(before_ms), waited(attack_ms), waited(after_ms))


GOOD = Row(
    name="silence",
    measures={name: measure(10, 20, 10) for name in ("puback", "get", "webhook")},
    errors={},
    missing={},
    doubled=0,
    lost=0,
    peaks_mib={"api": 100.0},
    cores={"api": 0.1, "attacker": 0.3},
    told={"200": 7},
)
BAD: Mapping[str, tuple[Row, str]] = {
    "late": (replace(GOOD, measures={"get": measure(30, 91, 30)}), "get: p99 is 91 ms, 90 are"),
    "error": (replace(GOOD, errors={"GET: 503 unavailable": 2}), "2 x GET: 503 unavailable"),
    "missing": (replace(GOOD, missing={"webhook": 1}), "1 x webhook missing"),
    "doubled": (replace(GOOD, doubled=2), "2 doubled"),
    "lost": (replace(GOOD, lost=3), "3 lost"),
}
NONE = waited(0, count=0)
# A measure, and the most that its p99 may be; or why there is no verdict.
BOUNDS = [
    (measure(10, 60, 10), 60.0, None),
    (measure(10, 61, 10), 60.0, "61 ms"),
    (measure(30, 90, 40), 90.0, None),
    (measure(900, 90, 30), 90.0, None),
    (measure(30, 91, 900), 90.0, "91 ms"),
    (measure(200, 500, 300), 500.0, None),
    (measure(200, 501, 300), 500.0, "501 ms"),
    (Measure(NONE, waited(60), waited(30)), 90.0, None),
    (Measure(NONE, waited(1), NONE), 60.0, "no samples"),
    (Measure(waited(1), NONE, waited(1)), 60.0, "no samples"),
]


@pytest.mark.parametrize(("one", "bound_ms", "why"), BOUNDS)
def test_a_measure_is_good_within_three_times_its_calm_value_and_half_a_second(
    one: Measure, bound_ms: float, why: str | None
) -> None:
    assert one.bound_ms == bound_ms
    assert (one.trouble is None) is (why is None)
    assert why is None or why in str(one.trouble)


def test_a_row_is_good_within_all_bounds() -> None:
    assert GOOD.trouble == []
    assert GOOD.facts()["trouble"] == []


@pytest.mark.parametrize("name", BAD)
def test_a_row_is_not_good_beyond_one_bound(name: str) -> None:
    row, why = BAD[name]
    assert len(row.trouble) == 1
    assert why in row.trouble[0]


def test_a_phase_has_what_was_due_in_it() -> None:
    took = [(at, at + (9 if at < 100 else 2) * MS) for at in range(200)]
    assert Waited.of(took, (0, 100)) == Waited(9.0, 9.0, 9.0, 100)
    assert Waited.of(took, (100, 200)) == Waited(2.0, 2.0, 2.0, 100)
    assert Waited.of([(0, at * MS) for at in range(1, 102)], (0, 1)) == Waited(51, 100, 101, 101)
    assert Waited.of(took, (200, 300)).count == 0


def test_the_victims_record_is_read(tmp_path: Path) -> None:
    path = tmp_path / "victim.json"
    facts = {
        "took": {"get": [[0, 3 * MS], [10, 10 + 5 * MS]]},
        "errors": [[4, "GET: 503"], [9, "GET: 503"], [9, "POST: 500"]],
        "missing": {"webhook": 1, "PUBACK": 0},
        "doubled": 2,
    }
    path.write_text(json.dumps(facts))
    record = Record.read(path)
    assert record.errors == {"GET: 503": 2, "POST: 500": 1}
    told = json.loads(json.dumps(replace(GOOD, errors=record.errors).facts()))
    assert told["errors"] == record.errors
    assert (record.missing, record.doubled) == ({"webhook": 1}, 2)
    found = record.measure("get", ((0, 5), (5, 20), (20, 30)))
    assert [one.p50_ms for one in (found.before, found.attack)] == [3.0, 5.0]
    assert found.after.count == 0
    assert record.measure("webhook", ((0, 5), (5, 20), (20, 30))).trouble == "has no samples"


def test_webhooks_are_compared_with_what_was_made() -> None:
    made = {"once": 1, "twice": 2, "never": 3}
    arrived = {"once": [10], "twice": [20, 30, 40], "of somebody else": [50, 60]}
    assert compare(made, arrived) == ([(1, 10), (2, 20)], 1, 2)
    assert compare({}, arrived) == ([], 0, 0)


async def test_the_receiver_notes_each_webhook_of_a_connection() -> None:
    receiver = Receiver()
    async with await asyncio.start_server(receiver.serve, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection = await HttpConnection.open(port, "127.1.0.1")
        for order in ("a", "b", "a"):
            body = json.dumps({"data": {"work_order_id": order}}).encode()
            assert (await connection.ask(request("POST", "/hook", body=body))).status == 204
        connection.close()
    assert {order: len(times) for order, times in receiver.arrived.items()} == {"a": 2, "b": 1}


def test_attacks_are_chosen_by_number() -> None:
    assert chosen(None) == list(range(len(ATTACKS)))
    assert chosen("1,3") == [0, 2]
    for wrong in ("0", str(len(ATTACKS) + 1), "x"):
        with pytest.raises(ValueError):
            chosen(wrong)


def test_attacks_have_names_of_their_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


# The wire ---------------------------------------------------------------------------------------


def test_a_request_has_a_token_and_the_length_of_its_body() -> None:
    head, _, body = request("POST", "/v1/x", "key", b"{}", {"accept": "text/csv"}).partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\n")
    assert headers_of(head) == {
        "host": "127.0.0.1",
        "authorization": "Bearer key",
        "content-type": "application/json",
        "content-length": "2",
        "accept": "text/csv",
    }
    assert body == b"{}"


ANSWERS = [
    (b"200 OK\r\ncontent-length: 3\r\n\r\nabc", Answer(200, b"abc", False)),
    (b"204 No Content\r\n\r\n", Answer(204, b"", False)),
    (b"503 X\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", Answer(503, b"x", True)),
    (
        b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
        Answer(200, b"abc0123456789", False),
    ),
]


@pytest.mark.parametrize(("text", "answer"), ANSWERS)
async def test_an_answer_is_read_to_its_end_and_no_further(text: bytes, answer: Answer) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"HTTP/1.1 " + text + b"HTTP/1.1 ")
    assert await read_answer(reader) == answer
    assert await reader.read(100) == b"HTTP/1.1 "


async def test_an_answer_that_is_cut_off_is_an_error() -> None:
    for text, _ in ANSWERS:
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.1 " + text[:-1])
        reader.feed_eof()
        with pytest.raises(asyncio.IncompleteReadError):
            await read_answer(reader)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, b'{"code":"x"}', False), "200"),
        (Answer(429, b'{"status":429,"code":"rate_limited"}', False), "429 rate_limited"),
        (Answer(503, b"away", True), "503"),
    ],
)
def test_an_attacker_hears_statuses_and_codes_of_problems(answer: Answer, told: str) -> None:
    assert answer.told == told


def test_an_attacker_speaks_websocket() -> None:
    server = ServerProtocol()
    server.receive_data(request("GET", "/v1/ws", headers=WS_BEGIN))
    server.send_response(server.accept(server.events_received()[0]))
    texts = [b"x" * size for size in (0, 125, 126, 65_535)]
    server.receive_data(b"".join(map(ws_text, texts)))
    frames = server.events_received()
    assert [frame.data for frame in frames] == texts
    assert {frame.opcode for frame in frames} == {Opcode.TEXT}


# The parts --------------------------------------------------------------------------------------


def test_memory_is_read_from_the_kernels_page() -> None:
    page = "Name:\tpostgres\nVmHWM:\t  2048 kB\nRssAnon:\t     512 kB\nThreads:\t1\n"
    assert status_kib(page) == {"VmHWM": 2048, "RssAnon": 512}


def test_a_family_is_a_process_and_its_descendants() -> None:
    assert family(os.getpid())[0] == os.getpid()
    assert os.getpid() in family(os.getppid())
    assert family(2**22 + 1) == [2**22 + 1]


# The whole of it --------------------------------------------------------------------------------

SHORT = ("one text over and over", "2,100 half requests of an address")


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
async def test_a_neighbour_is_measured_beside_attackers(tmp_path: Path) -> None:
    timing = Timing(calm_s=1.5, attack_s=3.0)  # attackers have a low priority
    with data_folder() as folder:
        async with running_system(folder) as up:
            for number, attack in enumerate(ATTACKS):
                if attack.name in SHORT:
                    row = await play(up, number, timing, tmp_path)
                    _is_whole(row)


def _is_whole(row: Row) -> None:
    for one in row.measures.values():
        assert min(one.before.count, one.attack.count, one.after.count) > 0, row
    assert (row.missing, row.doubled, row.lost) == ({}, 0, 0)
    assert row.told
    assert set(row.peaks_mib) == {"postgres", "listener", "ingest", "deliver", "api"}
    assert min(row.peaks_mib.values()) > 1
    assert set(row.cores) == {*row.peaks_mib, "attacker"}
    assert row.cores["api"] > 0
