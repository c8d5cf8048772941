"""A stand-in for systemctl where no systemd runs: in the Debian root of `make fresh`.

Knows what docs/install.md asks of it. Starts each ExecStart as its unit says: user, environment
files, directories, umask, open files, no capabilities, no new privileges, no memory that is both
written and run. It leaves out what needs systemd itself: mounts, system call filters, bounds of
memory.
`postgresql` and `nginx` are Debian's own and are started by their own commands.
"""

import ctypes
import os
import pwd
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

UNITS = Path("/etc/systemd/system")
STATE = Path("/run/units")
STOP_S = 40.0
SPECIFIER = re.compile(r"%[iS%]|\$\$")
PR_SET_MDWE, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, LAST_CAPABILITY = 65, 38, 24, 40
# Of Debian's own units: what starts and what stops them.
OTHERS = {
    "postgresql": ("pg_ctlcluster 17 main start", "pg_ctlcluster 17 main stop -m fast"),
    "nginx": ("nginx", "nginx -s stop"),
}


class Unit:
    """A unit file, with its instance in it."""

    def __init__(self, name: str) -> None:
        self.name = name if "." in name else f"{name}.service"
        stem, _, kind = self.name.rpartition(".")
        template, at, self.instance = stem.partition("@")
        self.values: dict[str, list[str]] = {}
        for line in (UNITS / f"{template}{at}.{kind}").read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                text = SPECIFIER.sub(lambda found: self._meaning(found[0]), value)
                self.values.setdefault(key, []).append(text)

    def _meaning(self, specifier: str) -> str:
        return {"%i": self.instance, "%S": "/var/lib", "%%": "%", "$$": "$"}[specifier]

    def one(self, key: str, default: str = "") -> str:
        return self.values.get(key, [default])[-1]

    @property
    def pid_file(self) -> Path:
        return STATE / f"{self.name}.pid"

    def user(self) -> pwd.struct_passwd:
        name = self.one("User")
        if subprocess.run(["id", name], capture_output=True, check=False).returncode != 0:
            command = ["useradd", "--system", "--no-create-home", "--home-dir", "/", name]
            subprocess.run(command, check=True)
        return pwd.getpwnam(name)

    def environment(self) -> dict[str, str]:
        """Return Environment=, then its files, which win."""
        given = [pair for line in self.values.get("Environment", []) for pair in shlex.split(line)]
        for path in self.values.get("EnvironmentFile", []):
            given += [line for line in Path(path).read_text().splitlines() if "=" in line]
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
        return {"PATH": path, "HOME": "/", **dict(pair.split("=", 1) for pair in given)}

    def start(self) -> None:
        if self.name.endswith(".target"):
            for wanted in sorted((STATE / f"{self.name}.wants").glob("*")):
                Unit(wanted.name).start()
            return
        user = self.user()
        if folder := self.one("StateDirectory"):
            self._make_state(folder, user)
        if self.one("Type") != "oneshot":
            self.pid_file.write_text(str(self._run(self.one("ExecStart"), user).pid))
            return
        for command in (self.one("ExecStart"), *self.values.get("ExecStartPost", [])):
            if self._run(command, user).wait() != 0:
                sys.exit(f"{self.name} failed: {(STATE / f'{self.name}.log').read_text()}")

    def _run(self, command: str, user: pwd.struct_passwd) -> subprocess.Popen[bytes]:
        with (STATE / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                shlex.split(command),
                env=self.environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=self._confine(user),
            )

    def _make_state(self, folder: str, user: pwd.struct_passwd) -> None:
        """Make the state folder below /var/lib/private, with a link to it, as
        DynamicUser has it.
        """
        private = Path("/var/lib/private", folder)
        private.parent.mkdir(exist_ok=True)
        private.parent.chmod(0o711)  # systemd lets its units in by mounts
        private.mkdir(mode=0o700, exist_ok=True)
        os.chown(private, user.pw_uid, user.pw_gid)
        link = Path("/var/lib", folder)
        if not link.is_symlink():
            link.symlink_to(Path("private", folder))

    def _confine(self, user: pwd.struct_passwd) -> Callable[[], None]:
        libc = ctypes.CDLL(None, use_errno=True)
        files = int(self.one("LimitNOFILE", "1024"))
        denies = self.one("MemoryDenyWriteExecute") == "yes"

        def confine() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            os.umask(int(self.one("UMask", "0022"), 8))
            for number in range(LAST_CAPABILITY + 1):
                libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if denies:
                libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)

        return confine

    def stop(self) -> None:
        """Stop the unit as systemd does, and fail where it does not end in time or in order."""
        if self.name.endswith(".target"):
            for wanted in sorted((STATE / f"{self.name}.wants").glob("*")):
                Unit(wanted.name).stop()
            return
        pid = int(self.pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
            if time.monotonic() > deadline:
                sys.exit(f"{self.name} does not stop")
            time.sleep(0.1)
        self.pid_file.unlink()

    def enable(self) -> None:
        wants = STATE / f"{self.one('WantedBy')}.wants"
        wants.mkdir(exist_ok=True)
        (wants / self.name).touch()


def act_on_other(name: str, verb: str) -> None:
    """Start, stop or restart one of Debian's own units."""
    start, stop = OTHERS[name]
    if verb != "start":
        ended = subprocess.run(stop.split(), check=False)
        if verb == "stop" and ended.returncode != 0:
            sys.exit(f"{name} does not stop")
    if verb != "stop":
        time.sleep(1)  # nginx says that it stops before it has
        subprocess.run(start.split(), check=True)


def main() -> None:
    STATE.mkdir(exist_ok=True)
    verb, *names = sys.argv[1:]
    is_enabling = verb == "enable"
    if is_enabling:
        assert names.pop(0) == "--now"
    for name in names:
        if name in OTHERS:
            act_on_other(name, verb)
            continue
        unit = Unit(name)
        if unit.name.endswith(".timer"):
            continue  # nobody waits for the night here
        if is_enabling:
            unit.enable()
        if verb == "start" or (is_enabling and not unit.name.endswith(".target")):
            unit.start()
        elif verb in ("stop", "restart"):
            unit.stop()
            if verb == "restart":
                unit.start()


if __name__ == "__main__":
    main()
