"""The commands of README.md, run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.stack.command import Installation
from tests.stack.shell import bash, require_curl_and_jq, with_addresses

README = (Path(__file__).parents[2] / "README.md").read_text()
TOUR, REPLAY = re.findall(r"^```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_replay_gives_the_transitions_of_the_little_trace(tmp_path: Path) -> None:
    done = bash(REPLAY.replace("/tmp/", f"{tmp_path}/"), tmp_path)
    assert [line.split(",")[:4] for line in done.stdout.splitlines()[1:]] == [
        ["truck-7", "2026-01-31T12:00:10Z", "quarry", "enter"],
        ["truck-7", "2026-01-31T12:00:20Z", "quarry", "exit"],
    ]


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
def test_the_tour_ends_with_four_fixes_a_visit_and_two_webhooks(
    installation: Installation, tmp_path: Path
) -> None:
    require_curl_and_jq()
    stack = installation.stack()
    text = with_addresses(TOUR, stack.api_url, stack.broker_url)
    text = text.replace("opsc org create", f"opsc org create --data {stack.data_dir}")
    done = bash(text, tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["lon"] for row in rows if "lon" in row] == [8.542, 8.541, 8.54, 8.539]
    assert [row["zone_id"] for row in rows if "left_at" in row] == [rows[0]["id"]]
    events = [(row["seq"], row["transition"]) for row in rows if "transition" in row]
    assert events == [(1, "enter"), (2, "exit")]
    hooks = [row["data"]["transition"] for row in rows if "organization_id" in row]
    assert hooks == ["enter", "exit"]
