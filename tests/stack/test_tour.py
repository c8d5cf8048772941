"""The commands of docs/tour.md, run as they stand there: they print what the page shows."""

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
BLOCKS = re.findall(r"^```bash\n(.*?)^```\n\n```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
"""The commands of each block, and what it prints."""
END = "--- end of a block"
ID = re.compile(r"\b([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}\b")
ALL_EVENTS = """office "events?after=0&limit=100" | jq -c '.data[]'\n"""


def test_each_block_of_commands_is_followed_by_what_it_prints() -> None:
    assert PAGE.count("```bash") == len(BLOCKS) > 5


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
def test_a_contractors_day_prints_what_the_page_shows(
    installation: Installation, tmp_path: Path
) -> None:
    require_curl_and_jq()
    stack = installation.stack()
    day = "".join(f"{commands}echo '{END}'\n" for commands, _ in BLOCKS) + ALL_EVENTS
    text = with_addresses(day, stack.api_url, stack.broker_url)
    text = text.replace("opsc org create", f"opsc org create --data {stack.data_dir}")
    text = text.replace("var/mail", str(reachable_home(Path(stack.data_dir)) / "mail"))
    *printed, events = bash(text, tmp_path).stdout.split(f"{END}\n")
    assert [without_ids(each) for each in printed] == [without_ids(shown) for _, shown in BLOCKS]
    check_payloads(stack.api_url, [json.loads(line) for line in events.splitlines()])
    assert [path.name for path in tmp_path.iterdir()] == [".venv"], "the reader's clone"


def without_ids(text: str) -> str:
    return ID.sub(r"\1_...", text)


def check_payloads(api_url: str, events: list[dict[str, Any]]) -> None:
    """Validate each event against the schema of its webhook."""
    with urllib.request.urlopen(f"{api_url}/openapi.json") as response:
        document = json.load(response)
    for event in events:
        post = document["webhooks"][event["type"]]["post"]
        schema = post["requestBody"]["content"]["application/json"]["schema"]
        Draft202012Validator(schema | {"components": document["components"]}).validate(event)
