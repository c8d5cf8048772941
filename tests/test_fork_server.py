"""Forked starts: a fork is what a program that was started would be."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.fork_server import BESIDE_THE_API, ENVIRONMENT, OPSC, STARTS

PROGRAM = [sys.executable, "-P", "-m", "tests.own_state"]
NOBODY = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]
NO_RIGHTS = ["--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
ONE_RIGHT = [
    "--no-new-privs",
    *(f"--{name}=-all,+dac_read_search" for name in ("inh-caps", "ambient-caps", "bounding-set")),
]


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    yield
    STARTS.is_on = True


def started(
    is_forked: bool, argv: Sequence[str] = PROGRAM, **options: Any
) -> tuple[Any, tuple[int, str]]:
    """Return what the program says of itself, its exit code and its complaints."""
    STARTS.is_on = is_forked
    before = STARTS.forks
    with subprocess.Popen(
        argv,
        **{"stdin": subprocess.PIPE, "env": dict(os.environ), **options},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        out, err = process.communicate("words" if process.stdin else None, timeout=60)
    assert STARTS.forks - before == is_forked
    state = json.loads(out)
    assert (state.pop("pid"), state.pop("parent")) == (process.pid, os.getpid())
    return state, (process.returncode, err)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cwd": "/"},
        {"start_new_session": True},
        {"stdin": subprocess.DEVNULL},
        {"env": {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OPSC_X": "y=ä"}},
        {"env": {**os.environ, "PYTHONUNBUFFERED": "1"}},
        {"env": {**os.environ, "OPENBLAS_NUM_THREADS": "1"}},
    ],
    ids=["nothing", "folder", "session", "input", "environment", "unbuffered", "one thread"],
)
def test_a_fork_is_what_was_asked_for(options: dict[str, Any]) -> None:
    _are_alike(**options)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights up")
@pytest.mark.parametrize(
    "rights",
    [["--pdeathsig", "KILL"], NOBODY, [*NOBODY, *NO_RIGHTS], [*NOBODY, *ONE_RIGHT]],
    ids=" ".join,
)
def test_a_fork_has_the_rights_that_were_asked_for(rights: list[str]) -> None:
    argv = ["setpriv", *rights, "--", *PROGRAM]
    _are_alike(argv)


@pytest.mark.parametrize("end", ["by itself", "0", "3", "by an error", "with words"])
def test_a_fork_ends_with_its_exit_code(end: str) -> None:
    environment = {**os.environ, "END": end}
    _, (code, complaints) = started(True, env=environment)
    _, (wanted_code, wanted_complaints) = started(False, env=environment)
    assert code == wanted_code
    assert complaints.splitlines()[0] == "complaint"
    assert complaints.splitlines()[-1] == wanted_complaints.splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
async def test_a_fork_is_a_child_like_any_other(number: signal.Signals) -> None:
    before = STARTS.forks
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert STARTS.forks == before + 1
    assert process.returncode is None
    assert process.stderr is not None
    await process.stderr.readline()  # while a program starts, KeyboardInterrupt can get lost
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 60) == -number


def test_a_fork_ends_with_the_process_that_started_it() -> None:
    """The death signal is set by the fork, once it has its parent."""
    code = (
        "import subprocess, sys, time; from tests.fork_server import STARTS; STARTS.install();"
        "child = subprocess.Popen(sys.argv[1:], start_new_session=True);"  # it waits for our stdin
        "print(child.pid, STARTS.forks, flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", code, "setpriv", "--pdeathsig", "KILL", "--", *PROGRAM]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, forks = map(int, parent.stdout.readline().split())
        assert forks == 1
        ended = os.pidfd_open(pid)
        parent.kill()
        readable, _, _ = select.select([ended], [], [], 60)
        os.close(ended)
    assert readable


@pytest.mark.parametrize(
    ("argv", "variables"),
    [
        ([sys.executable, "-c", "print('{}')"], {}),
        ([sys.executable, "-m", "json.tool", "--help"], {}),
        ([sys.executable, "-X", "dev", "-m", "api"], {}),
        (["setpriv", "--ptracer", "any", "--", *PROGRAM], {}),
        (PROGRAM, {"PYTHONHASHSEED": "3"}),
        (PROGRAM, {"NUMBA_DISABLE_JIT": "1"}),
        (PROGRAM, {"OPENBLAS_NUM_THREADS": "2"}),
    ],
    ids=str,
)
def test_what_a_fork_cannot_be_is_started(argv: list[str], variables: dict[str, str]) -> None:
    before = STARTS.forks
    with subprocess.Popen(
        argv, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ):
        pass
    assert STARTS.forks == before


def test_opsc_is_forked() -> None:
    before = STARTS.forks
    answered = subprocess.run([OPSC, "org", "list", "--no"], capture_output=True, text=True)
    assert (answered.returncode, STARTS.forks) == (2, before + 1)
    assert "No such option: --no" in answered.stderr


@pytest.mark.parametrize("module", BESIDE_THE_API)
def test_what_the_api_runs_beside_itself_is_forked(module: str) -> None:
    before = STARTS.forks
    program, environment = [sys.executable, "-P", "-m", module], {**os.environ, **ENVIRONMENT}
    ended = subprocess.run(
        program, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert STARTS.forks == before + 1


def _are_alike(argv: Sequence[str] = PROGRAM, **options: Any) -> None:
    (fork, fork_ended), (program, program_ended) = (
        started(is_forked, argv, **options) for is_forked in (True, False)
    )
    both = [(name, fork.get(name), program.get(name)) for name in {**fork, **program}]
    assert [(name, one, other) for name, one, other in both if one != other] == []
    assert fork_ended == program_ended
