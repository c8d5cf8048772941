"""Parts that start, die, come back and end in order."""

from __future__ import annotations

import asyncio
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from stack.host.process import Command, PartFailed, last_lines
from stack.servers.postgres import free_port
from stack.servers.supervisor import Part, Supervisor, answers_ready
from tests.waiting import PATIENCE_S


def command(folder: Path, name: str, code: str) -> Command:
    """Return a child that runs a line of Python."""
    return Command(
        name=name,
        argv=[sys.executable, "-c", code],
        log=folder / f"{name}.log",
        stop_signals=[(signal.SIGTERM, 5.0)],
        death_signal=signal.SIGKILL,
    )


def part(folder: Path, name: str) -> Part:
    """Return a child that tells of its end in a file that all parts share."""
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(folder / 'ends')!r}, 'a').write({name!r} + ' ')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"open({str(folder / name)!r}, 'w').close()\n"
        "time.sleep(600)\n"
    )
    return Part(command(folder, name, code), (folder / name).exists, 20.0)


class Journal:
    """The journal of what a supervisor said, and which processes it started."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.started: list[tuple[str, int]] = []

    def start(self, name: str, pid: int) -> None:
        self.started.append((name, pid))


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def supervisor(journal: Journal) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(journal.said.append, journal.start)
    yield supervisor
    await supervisor.stop()


async def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_parts_end_in_reverse_order(tmp_path: Path, supervisor: Supervisor) -> None:
    for name in ("first", "second", "third"):
        await supervisor.start(part(tmp_path, name))
    await supervisor.stop()
    assert (tmp_path / "ends").read_text().split() == ["third", "second", "first"]


async def test_a_part_that_dies_is_started_again_and_that_is_said(
    tmp_path: Path, supervisor: Supervisor, journal: Journal
) -> None:
    await supervisor.start(part(tmp_path, "worker"))
    os.kill(journal.started[0][1], signal.SIGKILL)
    await eventually(lambda: "worker is running again" in journal.said)
    assert journal.said[0] == "worker ended (by SIGKILL); starting it again in 0.5 s"
    assert [name for name, _ in journal.started] == ["worker", "worker"]


async def test_a_part_that_cannot_be_started_is_tried_again(
    tmp_path: Path, supervisor: Supervisor, journal: Journal
) -> None:
    worker = part(tmp_path, "worker")
    await supervisor.start(worker)
    worker.command.log.unlink()
    worker.command.log.mkdir()  # cannot be written, as on a disk that is full
    os.kill(journal.started[0][1], signal.SIGKILL)
    await eventually(lambda: any("worker cannot be started" in line for line in journal.said))
    worker.command.log.rmdir()
    await eventually(lambda: "worker is running again" in journal.said)


async def test_a_part_that_keeps_dying_is_given_longer_pauses_up_to_two_seconds(
    tmp_path: Path, supervisor: Supervisor, journal: Journal
) -> None:
    flag = tmp_path / "started"
    dying = command(tmp_path, "dying", f"open({str(flag)!r}, 'w').close()")
    await supervisor.start(Part(dying, flag.exists, 20.0))

    def pauses() -> list[str]:
        ended = [line for line in journal.said if line.startswith("dying ended")]
        return [line.rpartition(" in ")[2] for line in ended[:4]]

    await eventually(lambda: len(pauses()) == 4)
    assert pauses() == ["0.5 s", "1.0 s", "2.0 s", "2.0 s"]


async def test_a_part_that_fails_at_start_shows_the_end_of_its_log(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    failing = command(tmp_path, "failing", "raise SystemExit('no database')")
    with pytest.raises(PartFailed, match=r"ended at start \(exit code 1\)(?s:.*)no database"):
        await supervisor.start(Part(failing, lambda: False, 20.0))


async def test_a_part_that_is_never_ready_fails_in_bounded_time(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    idle = command(tmp_path, "idle", "import time; time.sleep(600)")
    with pytest.raises(PartFailed, match="not ready within 1 s"):
        await supervisor.start(Part(idle, lambda: False, 1.0))


def test_a_proxy_of_the_environment_is_not_asked_for_a_page_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port(0)}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert answers_ready(f"http://127.0.0.1:{server.server_port}/readyz")()


async def test_a_part_that_ignores_its_stop_signal_is_killed(
    tmp_path: Path, supervisor: Supervisor, journal: Journal
) -> None:
    ready = tmp_path / "ready"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"open({str(ready)!r}, 'w').close(); time.sleep(600)"
    )
    deaf = Command(
        name="deaf",
        argv=[sys.executable, "-c", code],
        log=tmp_path / "deaf.log",
        stop_signals=[(signal.SIGTERM, 0.2)],
        death_signal=signal.SIGKILL,
    )
    await supervisor.start(Part(deaf, ready.exists, 20.0))
    await supervisor.stop()
    assert not is_running(journal.started[0][1])


def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent_code = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from stack.host.process import Command, Process\n"
        "child = Process(Command('child', ['sleep', '600'], Path(sys.argv[1]) / 'log',\n"
        "    [(signal.SIGTERM, 1.0)], signal.SIGKILL))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    asyncio.run(eventually(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n"))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    asyncio.run(eventually(lambda: not is_running(child)))


def test_the_end_of_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log") == ""
