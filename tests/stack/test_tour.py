"""The commands of docs/tour.md, run as they stand there: a contractor's day with all its events."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stack.host.os_user import reachable_home
from tests.stack.command import Installation
from tests.stack.shell import bash, require_curl_and_jq, with_addresses

PAGE = (Path(__file__).parents[2] / "docs/tour.md").read_text()
DAY = "".join(re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
def test_a_contractors_day_ends_with_its_events_in_order(
    installation: Installation, tmp_path: Path
) -> None:
    require_curl_and_jq()
    stack = installation.stack()
    text = with_addresses(DAY, stack.api_url, stack.broker_url)
    text = text.replace("opsc org create", f"opsc org create --data {stack.data_dir}")
    text = text.replace("var/mail", str(reachable_home(Path(stack.data_dir)) / "mail"))
    rows = [json.loads(line) for line in bash(text, tmp_path).stdout.splitlines()]
    said, events = [row for row in rows if "seq" not in row], [row for row in rows if "seq" in row]
    statuses = [row["status"] for row in said if "status" in row]
    assert statuses == ["accepted", "created", "assigned", "started", "created", "completed"]
    (filters,) = [row for row in said if "used" in row]
    assert filters == {"planned": 2, "reserved": 0, "used": 2}
    (costs,) = [row for row in said if "labour_cents" in row]
    assert costs == {
        "currency": "CHF",
        "labour_cents": 4_800,
        "parts_cents": 2_500,
        "total_cents": 7_300,
    }
    verdicts = [(row["kind"], row["verdict"]) for row in said if "verdict" in row]
    assert verdicts == [("in", "unverified"), ("out", "verified")]
    visits = [row for row in said if "zone_id" in row]
    assert len(visits) == 2
    assert len({row["asset_id"] for row in visits}) == 1
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events if event["type"] not in SOMEWHERE] == IN_ORDER
    assert {event["type"] for event in events} == {*IN_ORDER, *SOMEWHERE}
    check_payloads(stack.api_url, events)


# A breach and a verdict are stored beside the requests, so their place among these is not fixed.
SOMEWHERE = ("asset.geofence_breach",)
IN_ORDER = [
    "quote.created",
    "quote.sent",
    "quote.accepted",
    "work_order.created",
    "work_order.updated",
    "work_order.assigned",
    "work_order.started",
    "employee.punched_in",
    "employee.punched_out",
    "inspection.submitted",
    "work_order.created",
    "work_order.updated",
    "work_order.completed",
]


def check_payloads(api_url: str, events: list[dict[str, Any]]) -> None:
    """Validate each event against the schema of its webhook."""
    with urllib.request.urlopen(f"{api_url}/openapi.json") as response:
        document = json.load(response)
    for event in events:
        post = document["webhooks"][event["type"]]["post"]
        schema = post["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": document["components"]}).validate(event)
