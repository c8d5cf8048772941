"""What a role writes to stderr, its libraries included: a JSON object a line."""

import json
import subprocess
import sys

SAYS = """
import logging
import structlog
from service import logs

logs.configure("info", {form!r})
structlog.get_logger().debug("too much")
structlog.get_logger().info("ready", fixes=3)
library = logging.getLogger("some.library")
library.info("nobody needs this")
library.warning("gone:\\n\\tit was %s", "there")
try:
    1 / 0
except ZeroDivisionError:
    library.exception("it failed")
    structlog.get_logger().exception("so did we")
"""


def said(form: str) -> str:
    """By a process of its own, since logging is one for a process."""
    arguments = [sys.executable, "-c", SAYS.format(form=form)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stderr


def test_each_line_is_an_object_whoever_says_it() -> None:
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"] for line in lines] == [
        "ready",
        "gone:\n\tit was there",
        "it failed",
        "so did we",
    ]
    assert [line["level"] for line in lines] == ["info", "warning", "error", "error"]
    assert lines[0]["fixes"] == 3
    assert lines[1]["logger"] == "some.library"
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert all("ZeroDivisionError" in line["exception"] for line in lines[2:])


def test_people_get_text() -> None:
    text = said("console")
    assert "ready" in text
    assert "it was there" in text
    assert "{" not in text
    assert "nobody needs this" not in text
