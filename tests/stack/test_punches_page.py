"""The commands of docs/punches.md, run as they stand there."""

import json
import re
from pathlib import Path

import pytest

from tests.stack.command import Installation
from tests.stack.shell import bash, require_curl_and_jq, with_addresses

PAGE = (Path(__file__).parents[2] / "docs/punches.md").read_text()
(SETUP,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.acceptance
@pytest.mark.usefixtures("programs")
def test_the_setup_ends_with_a_punch_by_phone_and_one_at_a_terminal(
    installation: Installation, tmp_path: Path
) -> None:
    require_curl_and_jq()
    stack = installation.stack()
    text = with_addresses(SETUP, stack.api_url, stack.broker_url)
    text = text.replace("opsc org create", f"opsc org create --data {stack.data_dir}")
    first, phone, terminal = map(json.loads, bash(text, tmp_path).stdout.splitlines())
    assert (first["verdict"], first["reasons"][0]["rule"]) == ("verified", "inside")
    assert [(row["kind"], row["verdict"]) for row in (phone, terminal)] == [
        ("in", "verified"),
        ("out", "verified"),
    ]
    assert phone["site_id"] == terminal["site_id"] is not None
    assert (phone["tracker_id"] is None, terminal["tracker_id"] is None) == (True, False)
