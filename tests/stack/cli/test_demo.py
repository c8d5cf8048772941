"""`opsc demo`: what it prints, and what it counts as lost."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from stack.cli.demo import EventLog, Summary
from stack.verify.webhook_receiver import Received
from tests.stack.command import opsc


def webhook(
    seq: int,
    transition: str = "enter",
    initial: bool = False,
    event_type: str = "asset.geofence_breach",
) -> Received:
    body = {
        "type": event_type,
        "id": f"evt_{seq}",
        "seq": seq,
        "occurred_at": "2026-01-01T00:00:00Z",
        "data": {
            "asset_name": "Truck 01",
            "zone_name": "Quarry",
            "transition": transition,
            "initial": initial,
        },
    }
    return Received(f"evt_{seq}", msgspec.json.encode(body), None)


@pytest.mark.parametrize(
    ("transition", "initial", "verb"),
    [("enter", False, "entered"), ("enter", True, "was in"), ("exit", False, "left")],
)
def test_a_breach_is_one_line(
    capsys: pytest.CaptureFixture[str], transition: str, initial: bool, verb: str
) -> None:
    EventLog().add(webhook(1, transition, initial))
    assert capsys.readouterr().out == f"2026-01-01T00:00:00Z  Truck 01 {verb} Quarry\n"


def test_a_punch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    received = webhook(1, event_type="employee.punched_out")
    body = msgspec.json.decode(received.body)
    body["data"] = {
        "employee_name": "Employee 3",
        "verdict": "failed",
        "reasons": [{"rule": "inside"}, {"rule": "mock"}],
    }
    EventLog().add(Received(received.webhook_id, msgspec.json.encode(body), None))
    told = "2026-01-01T00:00:00Z  Employee 3 punched out: failed (inside, mock)\n"
    assert capsys.readouterr().out == told


def test_a_webhook_that_comes_again_or_out_of_turn_counts_once() -> None:
    log = EventLog()
    for seq in (3, 1, 1, 2, 3, 5):
        log.add(webhook(seq))
    assert log.delivered == 4


def test_other_events_are_counted_but_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    log = EventLog()
    log.add(webhook(1, event_type="webhook_endpoint.disabled"))
    assert log.delivered == 1
    assert capsys.readouterr().out == ""


def test_a_refused_signature_is_no_delivery() -> None:
    log = EventLog()
    log.add(Received("evt_1", b"forged", "no signature matches"))
    assert (log.delivered, log.bad_signatures) == (0, 1)


@pytest.mark.parametrize(
    ("changed", "lost"),
    [({}, 0), ({"fixes_stored": 9}, 1), ({"fixes_stored": 11}, 1), ({"webhooks_delivered": 2}, 2)],
)
def test_what_does_not_arrive_is_lost(changed: dict[str, int], lost: int) -> None:
    counts = {
        "fixes_sent": 10,
        "fixes_acknowledged": 10,
        "fixes_stored": 10,
        "breaches": 3,
        "events": 4,
        "webhooks_delivered": 4,
        "bad_signatures": 0,
    }
    summary = Summary(**counts | changed)
    assert summary.lost == lost
    assert summary.is_good == (lost == 0)


@pytest.mark.acceptance
@pytest.mark.fresh_start
@pytest.mark.usefixtures("programs")
def test_the_demo_ends_by_itself_with_nothing_lost(data_dir: Path) -> None:
    done = opsc("demo", "--seconds", "5", "--json", "--data", data_dir)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["fixes_stored"] == summary["fixes_sent"] == 60
    assert summary["events"] == summary["webhooks_delivered"] > 0
    assert "password" in done.stdout
    assert "Truck 01" in done.stdout
