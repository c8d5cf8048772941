"""What a role writes to stderr, its libraries included: a JSON object a line."""

import json
import os
import pty
import subprocess
import sys

import pytest

SAYS = """
import logging
import structlog
from service import logs

logs.configure({level!r}, {form!r})
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


POOL = """
import logging
from service import logs

logs.configure("info", "json")
pool = logging.getLogger("psycopg.pool")
for reason in ("refused", "refused", "no route", "refused"):
    pool.warning("error connecting: %s", reason)
    logging.getLogger("some.library").warning("again")
"""

ODD = """
import structlog
from service import logs

logs.configure("info", "json")
structlog.get_logger().info("Zürich", number=2**70, kind=ValueError("no"), nothing=None)
structlog.get_logger().info("half a pair", file="\\udc80")
"""

DEEP = """
import traceback, logging
import structlog
from pydantic import BaseModel
from psycopg import errors
from db.core.connect import check_url
from service import logs

logs.configure({level!r}, "json")

class Settings(BaseModel):
    port: int

def fail(depth):
    if depth:
        fail(depth - 1)
    check_url("x" * 10_000)

try:
    try:
        fail(100)
    except ValueError as error:
        group = ExceptionGroup("several", [error] * 20 + [errors.UniqueViolation("Sw0rdfish")])
        raise RuntimeError("y" * 10_000) from group
except RuntimeError as error:
    structlog.get_logger().error("failed", exc_info=error)
try:
    fail(100)
except ValueError:
    logging.getLogger("uvicorn.error").error("startup\\n" + traceback.format_exc())
try:
    Settings(port="Sw0rdfish")
except ValueError as error:
    structlog.get_logger().error("failed", exc_info=error)
raise KeyError("the end")
"""


def said(form: str, level: str = "info") -> str:
    return stderr_of(SAYS.format(form=form, level=level)).decode()


def stderr_of(program: str, *, code: int = 0) -> bytes:
    """Run a process of its own, since logging is one for a process; in a locale without UTF-8."""
    arguments = [sys.executable, "-c", program]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(arguments, capture_output=True, env=environment, check=False)
    assert done.returncode == code
    return done.stderr


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
    for line in lines[2:]:
        assert line["exception"]["type"] == "ZeroDivisionError"
        assert line["exception"]["message"] == "division by zero"


def test_people_get_text() -> None:
    text = said("console")
    assert "ready" in text
    assert "it was there" in text
    assert "  ZeroDivisionError: division by zero\n" in text
    assert "{" not in text
    assert "nobody needs this" not in text


def test_an_exception_is_bounded_and_has_its_causes() -> None:
    written = stderr_of(DEEP.format(level="info"), code=1).splitlines()
    failed, startup, invalid, end = [json.loads(line) for line in written]
    assert max(map(len, written)) < 8_000
    error = failed["exception"]
    assert (error["type"], len(error["message"])) == ("RuntimeError", 503)
    (group,) = error["causes"]
    assert (group["type"], len(group["causes"])) == ("ExceptionGroup", 5)
    (frame,) = group["causes"][0]["frames"]  # none of the program's own, which is no part of ours
    assert frame.startswith("db/core/connect.py:")
    assert frame.endswith(" check_url")
    assert startup["event"].startswith("startup\nValueError: must be a URL like")
    assert invalid["exception"]["message"] == "Settings is not valid: port"
    assert (end["event"], end["level"]) == ("the process failed", "critical")
    assert end["exception"]["type"] == "KeyError"
    assert b"Sw0rdfish" not in b"".join(written)
    assert b"Traceback" not in b"".join(written)


def test_what_the_pool_says_again_and_again_is_written_once() -> None:
    lines = [json.loads(line) for line in stderr_of(POOL).splitlines()]
    told = [line["event"] for line in lines if line["logger"] == "psycopg.pool"]
    assert told == ["error connecting: refused", "error connecting: no route"]
    assert len(lines) == len(told) + 4


def test_at_debug_an_exception_has_all_frames_up_to_a_bound() -> None:
    first = stderr_of(DEEP.format(level="debug"), code=1).splitlines()[0]
    value_error = json.loads(first)["exception"]["causes"][0]["causes"][0]
    assert len(value_error["frames"]) == 60
    assert value_error["frames"][0].endswith(" fail")


@pytest.mark.parametrize(("no_color", "has_colors"), [("", True), ("1", False)])
def test_a_terminal_has_colours_unless_they_are_not_wanted(no_color: str, has_colors: bool) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", SAYS.format(form="console", level="info")],
        stderr=theirs,
        env=os.environ | {"NO_COLOR": no_color},
        check=True,
    )
    os.close(theirs)
    assert (b"\x1b[" in os.read(ours, 65_536)) == has_colors
    os.close(ours)


def test_a_file_has_no_colours() -> None:
    assert "\x1b" not in said("console")


def test_a_line_is_utf_8_whatever_it_says() -> None:
    whole, half = [json.loads(line) for line in stderr_of(ODD).decode().splitlines()]
    assert whole["event"] == "Zürich"
    assert whole["number"] == 2**70
    assert whole["kind"] == "ValueError('no')"
    assert whole["nothing"] is None
    assert half["file"] == "\udc80"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_full_disk_behind_stderr_ends_nothing(form: str) -> None:
    code = SAYS.format(form=form, level="info") + "\nprint('still here')"
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-u", "-c", code], stderr=full, stdout=subprocess.PIPE, check=True
        )
    assert done.stdout == b"still here\n"
