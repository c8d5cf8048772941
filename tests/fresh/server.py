"""A Debian root with a real systemd as its process 1: a server to type commands on.

It runs in namespaces of its own (tests/fresh/boot.sh). What is typed there sees its services,
files and loopback network; the machine's network is lent to single commands.
"""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.fresh.machine import FOLDER, ROOT_USER, DebianRoot, FreshError, tail

BOOT_SCRIPT = Path(__file__).with_name("boot.sh")
BOOT_TIMEOUT_S = 90
NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--cgroup")
# A unit of Debian's may have failed (`degraded`): one loads kernel modules, which nobody may here.
BOOTED = "[[ $(systemctl is-system-running --wait) =~ ^(running|degraded)$ ]]"


class _NotYetError(FreshError):
    """The server is still being started."""


class Server:
    """A server, switched off. All methods raise FreshError."""

    def __init__(self, root: DebianRoot) -> None:
        self._root = root
        self._console = FOLDER / "console.log"
        self._running: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it; returns when systemd has started what is enabled."""
        with self._console.open("ab") as console:
            self._running = subprocess.Popen(
                ["sh", str(BOOT_SCRIPT), str(self._root.path)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self._wait_for("run/dbus/system_bus_socket")
        self.bash(BOOTED)

    def reboot(self) -> None:
        """Restart it, as an administrator does."""
        assert self._running is not None
        self.bash("systemctl reboot")
        self._running.wait(BOOT_TIMEOUT_S)
        self.boot()

    def switch_off(self) -> None:
        """Kill everything on it."""
        if self._running is not None:
            self._running.kill()  # and systemd with it, by unshare's --kill-child
            self._running.wait()
            self._running = None

    def bash(self, script: str, *, title: str = "", with_network: bool = False) -> str:
        """Run a script in a bash of its own, which ends at the first command that fails; returns
        its output.

        with_network: in the machine's network, in place of the server's loopback.
        """
        (self._root.path / "root" / "block.sh").write_text(f"set -eo pipefail\n{script}\n")
        network = () if with_network else ("--net",)
        enter = ("nsenter", "--target", self._systemd().name, *NAMESPACES, *network, "--")
        return self._root.run(ROOT_USER, "bash block.sh", enter, title or script.strip())

    def _systemd(self) -> Path:
        """Return the folder in /proc of the server's process 1: the child of unshare."""
        assert self._running is not None
        pid = self._running.pid
        if self._running.poll() is not None:
            raise FreshError(f"the server ended; its console says:\n{self._last_lines()}")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            raise _NotYetError(
                f"the server has no process; its console says:\n{self._last_lines()}"
            )
        return Path("/proc", children[0])

    def _last_lines(self) -> str:
        return tail(self._console.read_text(errors="replace"))

    def _wait_for(self, path: str) -> None:
        """Wait until a file is there on the server."""
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while True:
            with suppress(_NotYetError):
                if (self._systemd() / "root" / path).exists():
                    return
            if time.monotonic() > deadline:
                raise FreshError(
                    f"the server does not boot; its console says:\n{self._last_lines()}"
                )
            time.sleep(0.1)
