"""What a part writes has a bound on the disk, and never holds the part up."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.host import log_files
from stack.host.log_files import LogFile
from stack.host.process import Command, Process, last_lines

FLOOD = """
import sys
for number in range(20_000):
    sys.stdout.write(f"{number:06} " + "x" * 992 + "\\n")
sys.stdout.flush()
sys.stderr.write("the last words\\n")
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def part(log: Path, code: str) -> Process:
    return Process(
        Command(
            name="part",
            argv=[sys.executable, "-c", code],
            log=log,
            stop_signals=[(signal.SIGTERM, 60.0)],
            death_signal=signal.SIGKILL,
        )
    )


def test_a_full_file_becomes_the_next_generation_and_the_oldest_is_removed(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", file_bytes=10, files=3)
    for number in range(7):
        log.write(b"line%d\n" % number)
    log.close()
    assert contents(tmp_path) == {
        "x.log": b"line6\n",
        "x.log.1": b"line4\nline5\n",
        "x.log.2": b"line2\nline3\n",
    }


def test_a_line_is_not_torn_by_a_full_file(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", file_bytes=10, files=3)
    for chunk in (b"one line ", b"of which", b" this is the end\nanother\n"):
        log.write(chunk)
    log.close()
    assert contents(tmp_path) == {
        "x.log": b"another\n",
        "x.log.1": b"one line of which this is the end\n",
    }


def test_a_line_without_an_end_has_a_bound_too(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", file_bytes=10, files=2)
    for _ in range(1_000):
        log.write(b"x" * 10)
    log.close()
    assert contents(tmp_path) == {"x.log": b"x" * 10, "x.log.1": b"x" * 10}


def test_what_is_there_already_counts(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"from a run before\n")
    log = LogFile(tmp_path / "x.log", file_bytes=10, files=2)
    log.write(b"new\n")
    log.close()
    assert contents(tmp_path) == {"x.log": b"new\n", "x.log.1": b"from a run before\n"}


def test_what_cannot_be_written_is_counted_and_said_when_it_can(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", log_files.FILE_BYTES)
    with files_at_most(0):
        log.write(b"lost\n")
        log.write(b"this too\n")
    log.write(b"back\n")
    log.close()
    said = b"opsc: 14 bytes of this log were lost\nback\n"
    assert contents(tmp_path) == {"x.log": said}


def test_older_files_stay_where_there_is_no_room_for_a_new_one(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", file_bytes=10, files=3)
    log.write(b"the first\n")
    log.write(b"the second\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        for _ in range(5):
            log.write(b"lost\n")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    log.write(b"back\n")
    log.close()
    assert contents(tmp_path) == {
        "x.log": b"opsc: 25 bytes of this log were lost\nback\n",
        "x.log.1": b"the second\n",
        "x.log.2": b"the first\n",
    }


def test_a_part_that_floods_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "FILE_BYTES", 1024 * 1024)
    flooding = part(tmp_path / "part.log", FLOOD)
    flooding._popen.wait()
    assert flooding.exit_code == 0
    found = contents(tmp_path)
    assert len(found) == log_files.FILES
    assert sum(map(len, found.values())) < log_files.FILES * 1.2 * 1024 * 1024
    assert last_lines(tmp_path / "part.log").splitlines()[-1] == "the last words"
    lines = b"".join(found[name] for name in sorted(found, reverse=True) if name != "part.log")
    assert {len(line) for line in lines.splitlines()} == {999}


def test_a_part_is_not_held_up_by_a_full_disk() -> None:
    flooding = part(Path("/dev/full"), FLOOD)
    flooding._popen.wait()
    assert flooding.exit_code == 0


def test_a_part_runs_with_a_pipe_that_cannot_be_made_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "_PIPE_BYTES", -1)  # refused, as what is too much is
    speaking = part(tmp_path / "part.log", "print('said')")
    speaking._popen.wait()
    assert speaking.exit_code == 0
    assert last_lines(tmp_path / "part.log") == "said"


@contextmanager
def files_at_most(limit_bytes: int) -> Iterator[None]:
    """Limit the files of this process, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
