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
    ShapeFigure,
)
from stack.sizing.needs import DATABASE, DELIVER, INGEST, LISTENER, Fleet, Machine, needs

NAMES = ("listener", "ingest", "database")


def shape(fixes_per_message: int, most: float, cores_at_most: float) -> ShapeFigure:
    """The cores of a share are in no line with the share, as in truth."""
    cores = {0.01: 0.2, 0.1: 0.4, 0.5: 0.7, 1.0: 1.0}
    return ShapeFigure(
        "json",
        fixes_per_message,
        200 + 100 * fixes_per_message,
        [
            LoadFigure(share * most, dict.fromkeys(NAMES, part * cores_at_most))
            for share, part in cores.items()
        ],
    )


FIGURES = Figures(
    sources={},
    shapes=[shape(20, 100_000, 0.6), shape(1, 20_000, 0.5), shape(5, 50_000, 0.5)],
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


@pytest.mark.parametrize("size", [1, 5, 20])
@pytest.mark.parametrize("load", range(4))
def test_a_measured_point_costs_what_was_measured(size: int, load: int) -> None:
    measured = next(one for one in FIGURES.shapes if one.fixes_per_message == size).loads[load]
    found = needs(at(measured.fixes_per_s * (1 - 1e-9), size), FIGURES).processes
    assert found[LISTENER].cores == pytest.approx(measured.cores["listener"])
    assert found[INGEST].cores == pytest.approx(measured.cores["ingest"])
    webhooks = measured.fixes_per_s * 0.02
    if webhooks <= 1_500:
        assert found[DATABASE].cores == pytest.approx(measured.cores["database"] + webhooks * 15e-5)
        assert found[DELIVER].cores == pytest.approx(0.03 + webhooks * 1e-4)
    else:
        assert found[DELIVER].cores is None


def test_hardly_anything_costs_what_idle_processes_do() -> None:
    found = needs(Fleet(1, 86_400), FIGURES).processes
    assert found[LISTENER].cores == pytest.approx(0.01, abs=1e-5)
    assert found[DATABASE].cores == pytest.approx(0.05, abs=1e-5)


def test_a_message_and_a_fix_have_a_cost_each_at_the_same_share_of_the_most() -> None:
    """Ten fixes lie between 5 and 20: a third of the way of 1/n."""
    us = {5: 1e6 * 0.5 / 50_000, 20: 1e6 * 0.6 / 100_000}  # at the most
    per_message = (us[5] - us[20]) / (1 / 5 - 1 / 20)
    per_fix = us[5] - per_message / 5
    most = 1 / (1 / 100_000 + (1 / 50_000 - 1 / 100_000) / 3)
    found = needs(at(most * (1 - 1e-9), 10), FIGURES).processes[INGEST].cores
    assert found == pytest.approx(most * (per_message / 10 + per_fix) / 1e6)


@given(st.floats(0.01, 20_000), st.integers(1, 20))
def test_cores_lie_between_those_of_nothing_and_of_the_most(per_s: float, size: int) -> None:
    found = needs(at(per_s, size), FIGURES).processes[INGEST].cores
    assert found is not None
    assert 0.02 - 1e-9 <= found <= 0.6 + 1e-9


@given(st.floats(0.01, 19_000), st.integers(1, 20))
def test_more_fixes_need_more(per_s: float, size: int) -> None:
    few, many = (needs(at(rate, size), FIGURES).cores for rate in (per_s, per_s * 1.05))
    assert few is not None
    assert many is not None
    assert few <= many + 1e-9


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (at(20_001), "20,001 fixes/s in messages like these: up to 20,000 were measured"),
        (at(100, 21), "messages of 21 fixes: messages of up to 20 were measured"),
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
