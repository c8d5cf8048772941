"""The `opsc` command as a user calls it, and systems that `opsc up` runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stack.servers.runtime import StackInfo, read_stack

OPSC = Path(sys.executable).with_name("opsc")
WAIT_S = 60.0


def plain_environment() -> dict[str, str]:
    """Return our environment without settings for servers elsewhere, and with lines that are not
    broken.
    """
    elsewhere = ("OPSC_DATABASE_URL", "OPSC_BROKER_URL")
    ours = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return ours | {"COLUMNS": "500"}


def opsc(
    *arguments: str | Path, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [OPSC, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env=plain_environment() | variables,
    )


class Up:
    """A running `opsc up`; what it says is collected."""

    def __init__(self, data_dir: Path, environment: dict[str, str], *options: str) -> None:
        self.data_dir = data_dir
        self._output = data_dir.with_suffix(".out")
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [OPSC, "up", "--data", data_dir, *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def until_said(self, text: str, within_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.output:
            assert self.process.poll() is None, f"up ended:\n{self.output}"
            assert time.monotonic() < deadline, f"up never said {text!r}:\n{self.output}"
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


class Installation:
    """A data folder that tests share; a test that needs the system running says so by `up`."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._up: Up | None = None

    def up(self, until: str = "ready") -> Up:
        """Return the `opsc up` that runs here; a new one where the last has ended."""
        if self._up is None or self._up.process.poll() is not None:
            self._up = Up(self.data_dir, plain_environment())
            self._up.until_said(until)
        return self._up

    def stack(self) -> StackInfo:
        """Return where the parts of the running system are."""
        self.up()
        return read_stack(self.data_dir)

    def end(self) -> None:
        """End the system where one runs."""
        if self._up is not None and self._up.process.poll() is None:
            self._up.end(signal.SIGTERM)


def running(pids: set[int]) -> set[int]:
    """Return those of the processes that have not ended."""
    found: set[int] = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            found.add(pid)
    return found
