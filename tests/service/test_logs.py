"""What a role writes to stderr, its libraries included: a JSON object a line."""

import json
import os
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


ODD = """
import structlog
from service import logs

logs.configure("info", "json")
structlog.get_logger().info("Zürich", number=2**70, kind=ValueError("no"), nothing=None)
structlog.get_logger().info("half a pair", file="\\udc80")
"""


def said(form: str) -> str:
    return stderr_of(SAYS.format(form=form)).decode()


def stderr_of(program: str) -> bytes:
    """By a process of its own, since logging is one for a process; in a locale without UTF-8."""
    arguments = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    return subprocess.run(arguments, capture_output=True, env=environment, check=True).stderr


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


def test_a_line_is_utf_8_whatever_it_says() -> None:
    whole, half = [json.loads(line) for line in stderr_of(ODD).decode().splitlines()]
    assert whole["event"] == "Zürich"
    assert whole["number"] == 2**70
    assert whole["kind"] == "ValueError('no')"
    assert whole["nothing"] is None
    assert half["file"] == "\udc80"
