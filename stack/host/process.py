"""One child process: started in a session of its own, its output in bounded files, ended in time.

A child never outlives us: the kernel sends it ``death_signal`` when our process ends, however it
ends. That signal is tied to the *thread* that started the child, so start children from the main
thread only. The session of its own keeps a Ctrl-C in the terminal from reaching every child at
once: the order in which they end is ours to choose.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.errors import StackError
from stack.host.log_files import LogPipe
from stack.host.os_user import Capability, OsUser, has_capability

READY_POLL_S = 0.02
KILL_WAIT_S = 5.0


class PartFailed(StackError):
    """A part did not start or did not become ready; carries the last lines of its log."""

    def __init__(self, name: str, problem: str, log: Path) -> None:
        self.name, self.problem, self.log = name, problem, log
        lines = last_lines(log)
        tail = f"; the last lines of {log}:\n{lines}" if lines else f"; {log} is empty"
        super().__init__(f"{name} {problem}{tail}")


@dataclass(frozen=True)
class Command:
    """A program to run, its user, and the way to end it: signals in order, each with the time to
    obey.

    has_no_rights: without capabilities, nor a way to get any, but for those of `rights` that we
    have ourselves.
    """

    name: str
    argv: Sequence[str]
    log: Path
    stop_signals: Sequence[tuple[signal.Signals, float]]
    death_signal: signal.Signals
    environment: Mapping[str, str] = field(default_factory=dict)
    identity: OsUser | None = None
    has_no_rights: bool = False
    rights: Sequence[Capability] = ()
    cwd: Path | None = None


class Process:
    """A running ``Command``."""

    def __init__(self, command: Command) -> None:
        self.command = command
        _make_log_folder(command.log.parent)
        self._is_log_whole = False
        launcher = _launcher(command)
        self._log = LogPipe(command.log, command.identity)
        try:
            self._popen = subprocess.Popen(
                [*launcher, *command.argv],
                env={**os.environ, **_home(command.identity), **command.environment},
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=self._log.write_end,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            self._log.close_write_end()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; negative where a signal ended it. Its log is whole then."""
        code = self._popen.poll()
        if code is not None:
            self._finish_log()
        return code

    async def until_end(self) -> int:
        """Wait until it has ended, and return its exit code."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        while (code := self.exit_code) is None:
            descriptor = os.pidfd_open(self.pid)  # of a child, until its exit code is read
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        return code

    def signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            self._popen.send_signal(number)

    def stop(self) -> None:
        """End it by its signals in order, by SIGKILL in the end; returns when it is gone."""
        for number, patience_s in self.command.stop_signals:
            self.signal(number)
            if self._ended_within(patience_s):
                return
        self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._popen.wait(KILL_WAIT_S)
        self._finish_log()

    def _ended_within(self, seconds: float) -> bool:
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._finish_log()
        return True

    def _finish_log(self) -> None:
        if not self._is_log_whole:
            self._is_log_whole = True
            self._log.finish()


def wait_until(process: Process, ready: Callable[[], bool], timeout_s: float) -> None:
    """Poll ``ready()`` until it is true; ``PartFailed`` if the process ends or time runs out."""
    deadline = time.monotonic() + timeout_s
    name, log = process.command.name, process.command.log
    while not ready():
        if (code := process.exit_code) is not None:
            raise PartFailed(name, f"ended at start ({how_it_ended(code)})", log)
        if time.monotonic() > deadline:
            raise PartFailed(name, f"was not ready within {timeout_s:.0f} s", log)
        time.sleep(READY_POLL_S)


def how_it_ended(exit_code: int) -> str:
    """Return an exit code in words, as ``Process.exit_code`` gives it."""
    if exit_code < 0:
        return f"by {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def last_lines(log: Path, count: int = 15) -> str:
    """Return the end of a log as text; empty where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.strip().splitlines()[-count:])


def _make_log_folder(folder: Path) -> None:
    """Make it if need be; users of parts walk through it to their own log, and see no other."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)


def _home(identity: OsUser | None) -> dict[str, str]:
    """Return the home folder's variables: libpq and others look for files of the user, and fail
    where they may not look.
    """
    return {} if identity is None else {"HOME": identity.home}


def _launcher(command: Command) -> list[str]:
    """Return a prefix by ``setpriv`` (util-linux), which drops privileges and asks the kernel for
    the death signal.
    """
    setpriv = shutil.which("setpriv", path=f"{os.environ.get('PATH', '')}:/usr/bin")
    if setpriv is None:
        raise PartFailed(command.name, "needs `setpriv` (util-linux) to start", command.log)
    launcher = [setpriv, "--pdeathsig", command.death_signal.name.removeprefix("SIG")]
    if command.identity is not None:
        user, group = str(command.identity.uid), str(command.identity.gid)
        launcher += ["--reuid", user, "--regid", group, "--clear-groups"]
        if command.has_no_rights:
            rights = [right for right in command.rights if has_capability(right)]
            kept = ",".join(["-all", *(f"+{right.name.lower()}" for right in rights)])
            sets = ["--inh-caps", "--ambient-caps"]
            if has_capability(Capability.SETPCAP):
                sets.append("--bounding-set")
            launcher += ["--no-new-privs", *(f"{name}={kept}" for name in sets)]
    return [*launcher, "--"]
