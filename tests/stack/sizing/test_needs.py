"""What a fleet needs, by figures that are made up: measured points are met, lines lie between."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.sizing.figures import (
    Connections,
    Deliveries,
    Figures,
    FixBytes,
    FleetMemory,
    LoadFigure,
    Requests,
)
from stack.sizing.needs import (
    DATABASE,
    DELIVER,
    INGEST,
    LISTENER,
    Fleet,
    Machine,
    most_messages_per_s,
    needs,
)

NAMES = ("listener", "ingest", "database")
# The most: 20 us of ingest a message of one fix, 115 us one of 20, so 5 us for each more fix.
FIGURES = Figures(
    sources={},
    single=[
        LoadFigure(1, 300, dict.fromkeys(NAMES, 0.1)),
        LoadFigure(1, 3_000, dict.fromkeys(NAMES, 0.2)),
        LoadFigure(1, 20_000, dict.fromkeys(NAMES, 0.4)),
    ],
    arrays=LoadFigure(20, 5_000, {"listener": 0.1, "ingest": 0.575, "database": 0.575}),
    publish_bytes=(300, 100),
    idle_cores={"listener": 0.01, "ingest": 0.02, "deliver": 0.03, "api": 0.04, "database": 0.05},
    idle_mib={"listener": 100, "ingest": 100, "deliver": 150, "api": 250},
    ingest_memory=[
        FleetMemory(1_000, 10_000, 120),
        FleetMemory(10_000, 10_000, 200),
        FleetMemory(10_000, 100_000, 400),
        FleetMemory(100_000, 100_000, 1_600),
    ],
    connections=Connections(of_a_process=10_000, of_all=100_000, tls_kib=51.2),
    fix_bytes=FixBytes(table=120, index=60, events=10, wal=250, archive=20),
    events_per_fix=0.02,
    deliveries=Deliveries(deliver_us=100, database_us=150, most_per_s=1_500),
    requests=Requests(api_us=2_000, database_us=1_000, most_per_s=400),
)


def at(fixes_per_s: float, fixes_per_message: int = 1) -> Fleet:
    return Fleet(1_000, 1_000 / fixes_per_s, fixes_per_message)


@pytest.mark.parametrize("load", FIGURES.single, ids=lambda load: f"{load.messages_per_s:g}")
def test_a_measured_point_costs_what_was_measured_and_its_webhooks(load: LoadFigure) -> None:
    found = needs(at(load.messages_per_s), FIGURES).processes
    webhooks = load.messages_per_s * 0.02
    assert found[LISTENER].cores == pytest.approx(load.cores["listener"])
    assert found[INGEST].cores == pytest.approx(load.cores["ingest"])
    assert found[DATABASE].cores == pytest.approx(load.cores["database"] + webhooks * 150e-6)
    assert found[DELIVER].cores == pytest.approx(0.03 + webhooks * 100e-6)


def test_between_two_loads_cores_are_on_a_line() -> None:
    assert needs(at(1_650), FIGURES).processes[INGEST].cores == pytest.approx(0.15)
    assert needs(at(150), FIGURES).processes[INGEST].cores == pytest.approx(0.06)  # idle: 0.02


def test_each_more_fix_of_a_message_costs_the_same_at_any_load() -> None:
    found = needs(at(3_000, 10), FIGURES).processes  # 300 messages
    assert found[INGEST].cores == pytest.approx(0.1 + 300 * 9 * 5e-6)
    assert found[LISTENER].cores == pytest.approx(0.1)  # 20 us a message, of one or of 20
    found = needs(at(30_000, 10), FIGURES).processes
    assert found[INGEST].cores == pytest.approx(0.2 + 3_000 * 9 * 5e-6)


@pytest.mark.parametrize(("size", "most"), [(1, 20_000), (20, 5_000), (10, 1e6 / 121.0526)])
def test_the_most_messages_are_on_a_line_between_those_of_one_and_of_many(
    size: int, most: float
) -> None:
    """50 us a message of one fix, 200 us one of 20: 7.9 us for each more."""
    assert most_messages_per_s(size, FIGURES) == pytest.approx(most, rel=1e-4)


@given(st.floats(0.01, 19_000), st.integers(1, 20))
def test_more_fixes_need_more(per_s: float, size: int) -> None:
    few, many = (needs(at(rate, size), FIGURES).cores for rate in (per_s, per_s * 1.05))
    assert few is not None
    assert many is not None
    assert few < many


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (at(20_001), "20,001 messages/s of this size: up to 20,000 were measured"),
        (at(100_100, 20), "5,005 messages/s of this size: up to 5,000 were measured"),
        (at(100, 21), "21 fixes in a message: up to 20 were measured"),
        (at(80_000, 20), "1,600 webhooks/s of one process: up to 1,500 were measured"),
        (Fleet(100_001, 60), "100,001 connections: up to 100,000 were measured"),
        (
            Fleet(10, 60, zones=100_001),
            "memory of ingest: up to 100,000 trackers and 100,000 zones were measured",
        ),
    ],
)
def test_beyond_what_was_measured_there_is_no_number(fleet: Fleet, said: str) -> None:
    found = needs(fleet, FIGURES)
    assert said in found.not_measured
    assert found.cores is None or found.memory_mib is None
    assert found.machine is None


@pytest.mark.parametrize(
    ("fleet", "ingest_mib", "listeners", "listener_mib"),
    [
        (Fleet(100, 60), 120, 1, 105),
        (Fleet(10_000, 60, zones=10_000), 200, 1, 600),
        (Fleet(10_001, 60, zones=0), 1_600, 2, 700),
        (Fleet(100, 60, zones=10_001), 400, 1, 105),
    ],
)
def test_memory_is_that_of_a_measured_fleet_and_of_the_connections(
    fleet: Fleet, ingest_mib: float, listeners: int, listener_mib: float
) -> None:
    found = needs(fleet, FIGURES)
    assert found.processes[INGEST].memory_mib == ingest_mib
    assert found.processes[LISTENER].processes == listeners
    assert found.processes[LISTENER].memory_mib == pytest.approx(listener_mib, abs=0.1)
    assert found.memory_mib == pytest.approx(ingest_mib + listener_mib + 150 + 250, abs=0.1)


@pytest.mark.parametrize(
    ("fleet", "machine"),
    [
        (at(10), Machine(2, 4)),
        (at(15_000), Machine(4, 8)),
        (Fleet(50_000, 60), Machine(8, 16)),  # for its memory
    ],
)
def test_half_of_the_machine_stays_free(fleet: Fleet, machine: Machine) -> None:
    found = needs(fleet, FIGURES)
    assert found.machine == machine
    assert found.cores is not None
    assert found.memory_mib is not None
    assert found.cores <= machine.cores / 2
    assert found.memory_mib <= machine.memory_gib * 512


def test_bytes_move_into_the_archive_and_events_stay() -> None:
    fleet = Fleet(1_000, 10, retention_days=100)
    a_day = 100 * 86_400
    live = needs(fleet, FIGURES).disk
    assert live.live_per_day == a_day * 190
    assert live.live == a_day * 190 * 100
    assert live.archived == 0
    assert live.wal_per_day == a_day * 250
    moved = needs(replace(fleet, archive_after_days=40), FIGURES).disk
    assert moved.live == a_day * (190 * 40 + 10 * 60)
    assert moved.archived_per_day == a_day * 20
    assert moved.archived == a_day * 20 * 60


def test_the_network_has_heads_of_packets_and_pubacks() -> None:
    found = needs(at(100, 1), FIGURES)
    assert found.received_bytes_per_s == pytest.approx(100 * (300 + 2 * 52))
    assert found.sent_bytes_per_s == pytest.approx(100 * (4 + 2 * 52))
    between = needs(at(100, 10), FIGURES)  # 1,200 bytes a message
    assert between.received_bytes_per_s == pytest.approx(10 * (1_200 + 2 * 52))
