"""What a run of attackers beside victims is judged by, and how attackers are held back."""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hostile.attacks import ATTACKS
from benchmarks.hostile.crowd import Throttle, addresses, sign_in
from benchmarks.hostile.main import chosen
from benchmarks.hostile.report import Row, Waited, by_reason, memory_bound_mib
from mqtt.server import Connect, ServerConnection, ServerOptions

CALM = Waited(5.0, 10.0, 20.0, 1_000)
GOOD = Row(
    name="silence",
    before=CALM,
    attack=Waited(6.0, 29.9, 50.0, 2_000),
    after=CALM,
    lost=0,
    cuts=0,
    kept_out=0,
    let_in_ms=12.0,
    peak_mib=100.0,
    bound_mib=100.0,
    ingest_peak_mib=300.0,
    cores={"listener": 0.1, "ingest": 0.1, "attackers": 0.3},
    attackers={"connections": 5},
    ended={},
    refused={},
)
BAD: Mapping[str, tuple[Row, str]] = {
    "late": (replace(GOOD, attack=replace(CALM, p99_ms=30.0)), "p99 is 3.0 x"),
    "lost": (replace(GOOD, lost=1), "1 messages lost"),
    "cut": (replace(GOOD, cuts=2), "2 victims cut"),
    "kept out": (replace(GOOD, kept_out=1), "kept out 1 times"),
    "large": (replace(GOOD, peak_mib=100.1), "MiB of memory"),
    "never calm": (replace(GOOD, before=Waited.of(np.empty((0, 2)), 0, 1)), "inf x"),
}


def test_a_row_is_good_within_all_bounds() -> None:
    assert GOOD.trouble == []
    assert GOOD.facts()["ratio"] == 2.99


@pytest.mark.parametrize("name", BAD)
def test_a_row_is_not_good_beyond_one_bound(name: str) -> None:
    row, why = BAD[name]
    assert len(row.trouble) == 1
    assert why in row.trouble[0]


def test_what_an_attack_leaves_behind_is_not_calm() -> None:
    row = replace(GOOD, after=replace(CALM, p99_ms=9_000.0))
    assert row.ratio == pytest.approx(2.99)


def test_a_phase_has_the_messages_sent_in_it() -> None:
    took = np.array([[at, at + (9_000_000 if at < 100 else 2_000_000)] for at in range(200)])
    assert Waited.of(took, 0, 100) == Waited(9.0, 9.0, 9.0, 100)
    assert Waited.of(took, 100, 200) == Waited(2.0, 2.0, 2.0, 100)
    assert Waited.of(took, 200, 300).messages == 0


def test_the_bound_of_memory_grows_with_connections_and_with_what_may_be_held() -> None:
    idle = memory_bound_mib(80, 0, 0)
    assert idle == 80
    assert memory_bound_mib(80, 10_000, 0) > idle + 140
    assert memory_bound_mib(80, 0, 256 * 1024 * 1024) >= idle + 256


def test_counts_of_the_listener_are_read_by_reason() -> None:
    page = (
        '# HELP x\nopsc_listener_ended_total{reason="taken over"} 7.0\n'
        'opsc_listener_ended_total{reason="idle"} 0.0\n'
        'opsc_listener_refused_total{reason="full"} 3.0\n'
    )
    assert by_reason(page, "opsc_listener_ended_total") == {"taken over": 7.0}
    assert by_reason(page, "opsc_listener_refused_total") == {"full": 3.0}


def test_an_attacker_uses_no_more_than_its_share() -> None:
    throttle, began_s = Throttle(0.2), time.monotonic()
    while throttle.used_s < 0.1:
        sum(range(10_000))
    throttle.rest()
    assert throttle.used_s / (time.monotonic() - began_s) < 0.25


@pytest.mark.parametrize("version", [4, 5])
def test_attackers_speak_mqtt(version: int) -> None:
    (event,) = ServerConnection(ServerOptions(), 0.0).receive(sign_in(1, version=version), 0.0)
    assert isinstance(event, Connect)
    assert (event.version, event.is_clean, event.keepalive_s) == (version, True, 0)


def test_attackers_have_addresses_of_their_own() -> None:
    found = addresses(0, 40_000)
    assert len(set(found)) == 40_000
    assert not {"127.0.0.1", "127.0.0.2"} & set(found)


def test_attacks_are_chosen_by_number() -> None:
    assert chosen(None) == list(range(len(ATTACKS)))
    assert chosen("1,3") == [0, 2]
    for wrong in ("0", str(len(ATTACKS) + 1), "x"):
        with pytest.raises(ValueError):
            chosen(wrong)
