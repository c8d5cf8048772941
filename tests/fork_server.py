"""Starts of roles and of `opsc` by a fork of a process that has imported them already.

A role takes one to three seconds of the processor to start, nearly all of it for imports. Here a
server process imports everything once, and each start is a fork of it:

    STARTS.install()
    subprocess.Popen([sys.executable, "-m", "api"], ...)   # as ever, and so in asyncio

The process is a child of ours like any other: its pid, signals, exit code, output, environment,
folder and session are those of a program that was started. It runs the module as `__main__`, from
the first line. `opsc` has a fork server of its own for the roles that it starts. Differences: its
name in /proc/.../cmdline, and settings of Python and of libraries that are read when they are
imported. Where a start needs one of these, or anything else unknown here, the program is started.

`subprocess._fork_exec` is what is replaced. `pytest.mark.fresh_start` keeps it for a test.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

OPSC = Path(sys.executable).with_name("opsc")
ROLES = ("api", "ingest", "listener", "webhooks")
BESIDE_THE_API = ("api.limits.geometry_process", "api.photos.copying")
MODULES = (*ROLES, *BESIDE_THE_API, "tests.own_state")
STARTS_ROLES = ("up", "demo")
"""The commands of `opsc` that get a fork server of their own."""
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""The environment of the fork server, beside ours: a fork has none of our threads."""
READ_AT_IMPORT = ("PYTHON", "LC_", "LD_", "MALLOC_", "NUMBA_", "OMP_", "OPENBLAS_", "PROJ_")
REQUEST_BYTES = 200_000  # a kernel takes 212,992 in one piece
FIRST_PASSED = 3
STANDARD_FILES = 3

# prctl(2) and capset(2)
_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36
_DROP_FROM_BOUNDING_SET, _SET_KEEPS_CAPABILITIES, _SET_NO_NEW_PRIVILEGES = 24, 8, 38
_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR = 47, 2, 4
_CAPABILITIES_V3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


class Rights(NamedTuple):
    """Privileges that a process gives up, as `setpriv` (util-linux) does it.

    capabilities: those that it keeps; None where they are left as they are.
    """

    death_signal: int = 0
    user: int | None = None
    group: int | None = None
    capabilities: list[int] | None = None


class Start(NamedTuple):
    """A start that a fork can do: the arguments after `python`, or after `opsc`."""

    program: str
    arguments: list[str]
    rights: Rights
    environment: dict[str, str]
    folder: str | None
    has_own_session: bool
    passed: list[int]
    """Descriptors that keep their numbers."""


# What a command asks for ---------------------------------------------------------------------


def start_of(argv: Sequence[str], environment: Mapping[str, str], **more: Any) -> Start | None:
    """Return the start of a role or of `opsc`, None where the command is another one."""
    rights = Rights()
    words = list(argv)
    if Path(words[0]).name == "setpriv" and "--" in words:
        end = words.index("--")
        found = _rights(words[1:end])
        if found is None:
            return None
        rights, words = found, words[end + 1 :]
    if not words or any(_is_read_at_import(name, text) for name, text in environment.items()):
        return None
    if words[0] == str(OPSC):
        # Programs that are started outlive a test run that is killed; no fork does.
        rights = rights._replace(death_signal=rights.death_signal or signal.SIGTERM)
        return Start("opsc", words[1:], rights, dict(environment), **more)
    if words[0] == sys.executable:
        options = [word for word in words[1:] if word != "-P"]
        if len(options) == 2 and options[0] == "-m" and options[1] in MODULES:
            return Start(options[1], [], rights, dict(environment), **more)
    return None


def _is_read_at_import(name: str, text: str) -> bool:
    if name == "PYTHONUNBUFFERED":
        return False
    has = os.environ.get(name)
    return name.startswith(READ_AT_IMPORT) and text not in (has, ENVIRONMENT.get(name))


def _rights(options: Sequence[str]) -> Rights | None:
    """Return what the options of `setpriv` say, None where one is unknown here."""
    rights, words = Rights(), iter(options)
    for word in words:
        name, _, text = word.partition("=")
        match name:
            case "--pdeathsig":
                rights = rights._replace(death_signal=signal.Signals[f"SIG{next(words)}"])
            case "--reuid":
                rights = rights._replace(user=int(next(words)))
            case "--regid":
                rights = rights._replace(group=int(next(words)))
            case "--inh-caps" | "--ambient-caps" | "--bounding-set" if text.startswith("-all"):
                numbers = _capabilities(text.split(",")[1:])
                if numbers is None:
                    return None
                rights = rights._replace(capabilities=numbers)
            case "--clear-groups" | "--no-new-privs":
                pass
            case _:
                return None
    return rights


def _capabilities(words: Sequence[str]) -> list[int] | None:
    numbers = {"+dac_read_search": 2, "+setpcap": 8, "+net_bind_service": 10}
    return [numbers[word] for word in words] if set(words) <= numbers.keys() else None


# The user of a fork server -------------------------------------------------------------------


class ForkServer:
    """The process that forks, seen from the one that starts programs."""

    def __init__(
        self, connection: socket.socket, process: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._connection, self._process = connection, process
        self._lock = threading.Lock()

    def end(self) -> None:
        self._connection.close()
        if self._process is not None:
            self._process.wait()

    def fork(self, start: Start, files: Sequence[int]) -> int:
        """Return the pid of a new child of ours. files: its stdin, stdout, stderr."""
        message = json.dumps(start).encode()
        with self._lock, _adopting_orphans():
            socket.send_fds(self._connection, [message], [*files, *start.passed])
            answer = self._connection.recv(REQUEST_BYTES)
        if not answer:
            raise RuntimeError("the fork server has ended")
        return int(answer)


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Make this process the parent of descendants whose parent ends (PR_SET_CHILD_SUBREAPER)."""
    _libc.prctl(_SET_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _libc.prctl(_SET_SUBREAPER, 0, 0, 0, 0)


class _Starts:
    """The stand-in for `subprocess._fork_exec`. server: None until it is needed."""

    def __init__(self, server: ForkServer | None = None) -> None:
        self.server = server
        self.is_on = True
        self.forks = 0
        self._program_start: Any = subprocess._fork_exec  # pyright: ignore
        self._spawns: Any = subprocess._USE_POSIX_SPAWN  # pyright: ignore
        self._lock = threading.Lock()

    def install(self) -> None:
        subprocess._fork_exec = self  # pyright: ignore
        subprocess._USE_POSIX_SPAWN = False  # pyright: ignore  # it would pass us by (Python 3.13)

    def remove(self) -> None:
        subprocess._fork_exec = self._program_start  # pyright: ignore
        subprocess._USE_POSIX_SPAWN = self._spawns  # pyright: ignore
        if self.server is not None:
            self.server.end()
            self.server = None

    def prepare(self) -> None:
        """Start the server, which takes some seconds, and do not wait for it."""
        with self._lock:
            if self.server is None:
                self.server = _started_server()

    def __call__(self, *arguments: Any) -> int:
        start, files = self._understood(*arguments) if self.is_on else (None, ())
        if start is None or len(json.dumps(start)) > REQUEST_BYTES:
            return self._program_start(*arguments)
        self.prepare()
        assert self.server is not None
        self.forks += 1
        return self.server.fork(start, files)

    @staticmethod
    def _understood(
        argv: Sequence[Any], _executables: Any, close_fds: bool, kept: Sequence[int],
        cwd: Any, environment: Sequence[bytes] | None, *more: Any,
    ) -> tuple[Start | None, Sequence[int]]:  # fmt: skip
        (stdin, _, _, stdout, _, stderr, _, error_pipe, _, own_session, group, *others) = more
        *identity, umask, before_exec = others[:5]  # before Python 3.14 there is one more
        is_plain = close_fds and group == -1 and umask == -1 and before_exec is None
        if not is_plain or any(one is not None for one in identity):
            return None, ()
        files = [number if one == -1 else one for number, one in enumerate((stdin, stdout, stderr))]
        variables = (
            dict(os.environ)
            if environment is None
            else dict(os.fsdecode(one).split("=", 1) for one in environment)
        )
        start = start_of(
            [os.fsdecode(word) for word in argv],
            variables,
            folder=None if cwd is None else os.fsdecode(cwd),
            has_own_session=bool(own_session),
            passed=[one for one in kept if one != error_pipe],
        )
        return start, files


STARTS = _Starts()


@contextlib.contextmanager
def fresh_starts() -> Iterator[None]:
    """Start programs as a user starts them, while the block lasts."""
    was_on, STARTS.is_on = STARTS.is_on, False
    try:
        yield
    finally:
        STARTS.is_on = was_on


def _started_server() -> ForkServer:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-P", "-m", "tests.fork_server", str(theirs.fileno())]
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parent.parent,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return ForkServer(ours, process)


# The fork server -----------------------------------------------------------------------------


def load() -> None:
    """Import whatever a role or a command imports, and load compiled code."""
    from stack.cli.main import COMMANDS

    for name in (*(f"{role}.__main__" for role in ROLES), *BESIDE_THE_API):
        importlib.import_module(name)
    for name, command in COMMANDS.items():
        if name != "replay":  # pyarrow has a thread
            importlib.import_module(command.module)
    from geofence.judging.warmup import prepare

    prepare()
    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, f"a process with {threads} threads cannot be forked"
    gc.collect()
    gc.freeze()  # else a look for garbage in a fork copies all of it


def serve(connection: socket.socket) -> Start:
    """Make forks until the other side ends. Returns in the forks only, each of which is to run."""
    # A shell that starts the tests in the background lets them ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while message := _received(connection):
        text, files = message
        start = Start(*json.loads(text))
        start = start._replace(rights=Rights(*start.rights))
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            between = os.getpid()
            if (child := os.fork()) == 0:
                _wait_for_parent(between)
                asked_by = _peer(connection)
                for one in (connection.detach(), reading, writing):
                    os.close(one)
                _become(start, files)
                if start.rights.death_signal and os.getppid() != asked_by:  # it has ended already
                    os.kill(os.getpid(), start.rights.death_signal)
                return start
            os.write(writing, str(child).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(between, 0)  # from here on its child is of whoever asked
        connection.send(os.read(reading, 32))
        for one in (reading, *files):
            os.close(one)
    os._exit(0)


def _received(connection: socket.socket) -> tuple[bytes, list[int]] | None:
    text, files, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 16)
    return (text, files) if text else None


def _peer(connection: socket.socket) -> int:
    """Return the process that made the other side."""
    pid, _, _ = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    )
    return pid


def _wait_for_parent(between: int) -> None:
    while os.getppid() == between:
        time.sleep(0.000_2)


def _become(start: Start, files: list[int]) -> None:
    """Give this process the files, environment, folder, session and rights of the start."""
    if start.has_own_session:
        os.setsid()
    for number, file in enumerate(files[:STANDARD_FILES]):
        os.dup2(file, number)
    passed = dict(zip(start.passed, files[STANDARD_FILES:], strict=True))
    beyond = max([*files, *start.passed]) + 1
    for number, file in passed.items():  # first out of the way of each other's numbers
        passed[number] = os.dup2(file, beyond + number)
    for file in files:
        os.close(file)
    for number, file in passed.items():
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(start.environment)
    if start.folder is not None:
        os.chdir(start.folder)
    _give_up(start.rights)
    is_unbuffered = bool(start.environment.get("PYTHONUNBUFFERED"))
    sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115  # stays open
    sys.stdout = _writer(1, is_unbuffered, "strict")
    sys.stderr = _writer(2, is_unbuffered, "backslashreplace")
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr


def _writer(file: int, is_unbuffered: bool, errors: str) -> io.TextIOWrapper:
    raw = open(file, "wb", 0 if is_unbuffered else -1, closefd=False)  # noqa: SIM115  # as this
    by_line = file == 2 or os.isatty(file)
    return io.TextIOWrapper(
        raw, "utf-8", errors, line_buffering=by_line, write_through=is_unbuffered
    )


def _give_up(rights: Rights) -> None:
    keeps = rights.capabilities
    if keeps is not None:
        _prctl(_SET_NO_NEW_PRIVILEGES, 1)
        last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
        for number in set(range(last + 1)) - set(keeps):
            _prctl(_DROP_FROM_BOUNDING_SET, number)
        _prctl(_SET_KEEPS_CAPABILITIES, 1)
    if rights.group is not None:
        os.setgroups([])
        os.setresgid(rights.group, rights.group, rights.group)
    if rights.user is not None:
        os.setresuid(rights.user, rights.user, rights.user)
    if keeps is not None:
        _set_capabilities(keeps)
    if rights.death_signal:
        _prctl(_SET_DEATH_SIGNAL, rights.death_signal)


def _set_capabilities(numbers: Sequence[int]) -> None:
    bits = sum(1 << number for number in numbers)
    low, high = bits & 0xFFFF_FFFF, bits >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    sets = (ctypes.c_uint32 * 6)(low, low, low, high, high, high)
    if _libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    _prctl(_AMBIENT, _AMBIENT_CLEAR)
    for number in numbers:
        _prctl(_AMBIENT, _AMBIENT_RAISE, number)


def _prctl(option: int, *values: int) -> None:
    padded = [*values, 0, 0, 0][:4]
    if _libc.prctl(option, *(ctypes.c_ulong(value) for value in padded)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


# A fork --------------------------------------------------------------------------------------


def run(start: Start) -> NoReturn:
    """Run the program as Python would."""
    try:
        if start.program == "opsc":
            sys.argv = [str(OPSC), *start.arguments]
            if start.arguments and start.arguments[0] in STARTS_ROLES:
                _Starts(_own_server()).install()
            runpy.run_path(str(OPSC), run_name="__main__")
        else:
            sys.argv = [start.program]  # `runpy` puts the file's name there
            module = start.program if "." in start.program else f"{start.program}.__main__"
            sys.modules.pop(module, None)  # it runs as `__main__`
            runpy.run_module(start.program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit(end.code)
        raise
    _exit(0)


def _exit(code: int) -> NoReturn:
    """End as Python does, but for the removal of all modules, which would copy all of them."""
    threading._shutdown()  # pyright: ignore
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _own_server() -> ForkServer:
    """Start a server that has what this process has loaded, before it does anything else."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        os.setsid()
        run(serve(theirs))
    theirs.close()
    return ForkServer(ours)


if __name__ == "__main__":
    load()
    run(serve(socket.socket(fileno=int(sys.argv[1]))))
