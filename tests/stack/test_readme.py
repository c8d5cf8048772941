"""The commands of README.md and of examples/README.md, run as they stand there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.stack.command import Installation
from tests.stack.shell import bash, require_curl_and_jq, with_addresses

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES, SHOWN = re.findall(
    r"^```(?:bash|text)\n(.*?)^```$",
    (ROOT / "examples/README.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
END = "--- end of the tour"
TOUR, REPLAY = re.findall(r"^```bash\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_replay_gives_the_transitions_of_the_little_trace(tmp_path: Path) -> None:
    done = bash(REPLAY.replace("/tmp/", f"{tmp_path}/"), tmp_path)
    assert [line.split(",")[:4] for line in done.stdout.splitlines()[1:]] == [
        ["truck-7", "2026-01-31T12:00:10Z", "quarry", "enter"],
        ["truck-7", "2026-01-31T12:00:20Z", "quarry", "exit"],
    ]


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
def test_the_tour_ends_with_four_fixes_a_visit_and_two_webhooks_and_the_examples_go_on(
    installation: Installation, tmp_path: Path
) -> None:
    require_curl_and_jq()
    stack = installation.stack()
    installed = re.sub(r"^\S+ install .*\n", "", EXAMPLES).replace("/tmp/", f"{tmp_path}/")
    text = f"{TOUR}echo '{END}'\n{installed}"
    text = with_addresses(text, stack.api_url, stack.broker_url)
    text = text.replace("opsc org create", f"opsc org create --data {stack.data_dir}")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    printed, of_examples = bash(text, tmp_path).stdout.split(f"{END}\n")
    assert of_examples == SHOWN.replace("/tmp/", f"{tmp_path}/")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [row["lon"] for row in rows if "lon" in row] == [8.542, 8.541, 8.54, 8.539]
    assert [row["zone_id"] for row in rows if "left_at" in row] == [rows[0]["id"]]
    events = [(row["seq"], row["transition"]) for row in rows if "transition" in row]
    assert events == [(1, "enter"), (2, "exit")]
    hooks = [row["data"]["transition"] for row in rows if "organization_id" in row]
    assert hooks == ["enter", "exit"]
