"""`make fresh`: README's commands on a Debian 13 with today's packages.

Makes a minimal Debian root (debootstrap and all updates), installs there what README names as
needed, and nothing else. In it an ordinary user and then root each take a clean clone of the
committed state and run the demo, then `opsc up` with a simulator that verifies. The ordinary user
runs the tests, too. Last comes a server: `tests/fresh/server_life.py`. With `--short` root is left
out, and all tests but those of whole systems and of a start.

- Exits with 1 if a command fails or the demo delivered no webhook, and shows the end of the
  command's output. All output is kept in `var/fresh/`; the Debian root is kept if the run failed.
- Needs root, and must run in mount and process namespaces of its own, as the Makefile starts it:
  whatever a run mounts or starts then ends with it.
- The mirror comes from the machine's apt settings, the package index and the certificates from
  those of pip.
"""

from __future__ import annotations

import ast
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
RELEASE = "trixie"
FOLDER = REPOSITORY / "var" / "fresh"
COMMAND_TIMEOUT_S = 900
TESTS_TIMEOUT_S = 3600
READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
SHORT_TESTS = "not long and (acceptance or fresh_start)"
TAIL_LINES = 40

# What the Debian root takes over from the machine, so that it reaches the same package sources.
APT_SETTINGS = re.compile(r"Acquire::(https?::Proxy|Check-(Valid-Until|Date))\b")
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class FreshError(Exception):
    """A command failed, or this machine cannot make a Debian root; the text says which and why."""


@dataclass(frozen=True)
class User:
    """Somebody who tries the project, by the name and the home folder they have in the root."""

    name: str
    home: str
    search_path: str  # PATH, as a login sets it

    @property
    def clone(self) -> str:
        return f"{self.home}/ops-companion"


ROOT_USER = User("root", "/root", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
ORDINARY_USER = User("ann", "/home/ann", "/usr/local/bin:/usr/bin:/bin")


class DebianRoot:
    """A folder with a Debian in it, and commands that run there. All methods raise FreshError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._logs = 0

    def run(
        self,
        user: User,
        command: str,
        enter: Sequence[str] = (),
        title: str = "",
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> str:
        """Run a shell command in the user's home folder; returns its output.

        enter: how root gets in where the root is booted; else it is by chroot. title: what is said
        of it in place of the command.
        """
        began = time.monotonic()
        with self.started(user, command, enter) as (process, log):
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                raise _failure(command, f"no end after {timeout_s} s", log) from None
        title = title or command
        _say(f"{user.name:<5} {time.monotonic() - began:6.1f} s  {title}")
        if code != 0:
            raise _failure(title, f"exit code {code}", log)
        return log.read_text()

    @contextmanager
    def started(
        self, user: User, command: str, enter: Sequence[str] = ()
    ) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """Start a shell command; yields the process and its output file, and kills the process."""
        self._logs += 1
        log = FOLDER / f"{self._logs:02d}-{user.name}.log"
        # The variables of a login and nothing of this machine's.
        variables = [f"HOME={user.home}", f"USER={user.name}", f"PATH={user.search_path}"]
        chroot = ["chroot", f"--userspec={user.name}:{user.name}", "--groups=", str(self.path)]
        script = f"cd {user.home} && {command}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*(enter or chroot), "/usr/bin/env", "-i", *variables, "sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process, log
        finally:
            process.kill()
            process.wait()


def main() -> None:
    from tests.fresh.server_life import live_through  # it stands on this module

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, mode=0o700)  # the address of a package index may hold a password
    root = DebianRoot(FOLDER / "root")
    try:
        make_root(root.path)
        with mounted(root.path):
            install(root)
            is_short = "--short" in sys.argv
            for user in (ORDINARY_USER,) if is_short else (ORDINARY_USER, ROOT_USER):
                try_project(root, user)
            try_tests(root, ORDINARY_USER, is_short=is_short)
            live_through(root)
    except FreshError as error:
        sys.exit(f"make fresh: {error}\nThe outputs and the Debian root are in {FOLDER}.")
    shutil.rmtree(root.path)
    _say("good: README's commands work on today's Debian, for an ordinary user and for root")


def make_root(path: Path) -> None:
    """Make a minimal Debian with the machine's mirror and certificates, not yet updated."""
    if shutil.which("debootstrap") is None:
        raise FreshError("debootstrap is missing: apt-get install debootstrap")
    sources = debian_sources()
    began = time.monotonic()
    options = ["--variant=minbase", "--include=ca-certificates"]
    _output("debootstrap", *options, RELEASE, str(path), mirror(sources))
    _say(f"      {time.monotonic() - began:6.1f} s  debootstrap {RELEASE}")
    lines = [f"deb {uri} {suite} main\n" for uri, suite in sources]
    _write(path / "etc/apt/sources.list", "".join(lines))
    _write(path / "etc/apt/apt.conf.d/90machine", apt_settings())
    pip = pip_settings()
    lines = [f"{name} = {' '.join(pip[name].split())}\n" for name in PIP_SETTINGS if name in pip]
    _write(path / "etc/pip.conf", "".join(["[global]\n", *lines]))
    # A machine has this file from its installer.
    _write(path / "etc/hosts", "127.0.0.1 localhost\n")
    certificates = Path(pip.get("cert", CERTIFICATES))
    if certificates.exists():
        shutil.copyfile(certificates, path / CERTIFICATES.relative_to("/"))


def install(root: DebianRoot) -> None:
    """Bring the root up to date, and install what README says is needed."""
    root.run(ROOT_USER, "apt-get -qq update")
    root.run(ROOT_USER, "apt-get -qq upgrade --yes")
    needed = re.search(r"^    (apt-get install .*)$", README, re.MULTILINE)
    if needed is None:
        raise FreshError("README.md no longer says what has to be installed")
    root.run(ROOT_USER, needed[1])
    root.run(ROOT_USER, f"useradd --create-home {ORDINARY_USER.name}")
    _say(root.run(ROOT_USER, "dpkg-query --show libc6 python3 git make").replace("\t", " ").strip())


def try_project(root: DebianRoot, user: User) -> None:
    """Run the demo, then the system with simulated trackers, in a clean clone of the user's own."""
    clone = root.path / user.clone.lstrip("/")
    _output("git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(clone))
    root.run(ROOT_USER, f"chown -R {user.name}:{user.name} {user.clone}")
    began = time.monotonic()
    summary = root.run(user, "cd ops-companion && make demo SECONDS=20")
    _say("\n".join(summary.splitlines()[-9:]))
    delivered = re.search(r"^webhooks delivered +([\d,]+)$", summary, re.MULTILINE)
    if delivered is None or delivered[1] == "0":
        raise FreshError("the demo delivered no webhook")
    with root.started(user, "cd ops-companion && exec .venv/bin/opsc up") as (system, log):
        _wait_until_ready(system, log)
        root.run(user, "cd ops-companion && .venv/bin/opsc sim --trackers 20 --seconds 20 --verify")
        system.send_signal(signal.SIGINT)
        try:
            code = system.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise _failure("opsc up", f"no end {STOP_TIMEOUT_S} s after Ctrl-C", log) from None
        if code != 0:
            raise _failure("opsc up", f"exit code {code} after Ctrl-C", log)
    _say(f"{user.name}: all of it in {(time.monotonic() - began) / 60:.1f} minutes")


def try_tests(root: DebianRoot, user: User, *, is_short: bool) -> None:
    """Run README's second command in the clone that the user has."""
    command = "cd ops-companion && make test" + f" TESTS='{SHORT_TESTS}'" * is_short
    output = root.run(user, command, timeout_s=TESTS_TIMEOUT_S)
    _say("\n".join(re.findall(r"^=+ (.* passed.*) =+$", output, re.MULTILINE)))


def debian_sources() -> list[tuple[str, str]]:
    """List the URI and suite of each archive of this release that the machine's apt knows."""
    found = _output(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)",
        "Created-By: Packages", "Origin: Debian",
    )  # fmt: skip
    rows = [line.split() for line in found.splitlines()]
    return [
        (uri, suite)
        for uri, suite, component in rows
        if component == "main" and suite.partition("-")[0] == RELEASE
    ]


def mirror(sources: Sequence[tuple[str, str]]) -> str:
    """Return the URI of the archive that has this release, and other Debians. Raises FreshError."""
    found = next((uri for uri, suite in sources if suite == RELEASE), None)
    if found is None:
        raise FreshError(f"apt has no Debian {RELEASE} here; if it should, apt-get update first")
    return found


def apt_settings() -> str:
    """Return apt settings for the root: the machine's proxies and checks, and retries."""
    lines = _output("apt-config", "dump").splitlines()
    kept = [line for line in lines if APT_SETTINGS.match(line)]
    return "\n".join([*kept, 'Acquire::Retries "3";', ""])


def pip_settings() -> dict[str, str]:
    """Read the settings of the machine's pip by name; variables win over configuration files."""
    settings: dict[str, str] = {}
    rows = _output(sys.executable, "-m", "pip", "config", "list").splitlines()
    for row in sorted(rows, key=lambda row: row.startswith(":env:")):
        name, _, value = row.partition("=")
        settings[name.rpartition(".")[2]] = ast.literal_eval(value)
    return settings


@contextmanager
def mounted(root: Path) -> Iterator[None]:
    """Mount /proc, shared memory and terminals, private to the root, as a running machine has
    them.
    """
    points = {root / "proc": "proc", root / "dev/shm": "tmpfs", root / "dev/pts": "devpts"}
    for point, kind in points.items():
        _output("mount", "-t", kind, kind, str(point))
    try:
        yield
    finally:
        for point in points:
            _output("umount", "--lazy", str(point))


def _wait_until_ready(system: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while "ready; Ctrl-C stops everything" not in log.read_text():
        if system.poll() is not None:
            raise _failure("opsc up", f"exit code {system.returncode}", log)
        if time.monotonic() > deadline:
            raise _failure("opsc up", f"not ready after {READY_TIMEOUT_S} s", log)
        time.sleep(0.2)


def _output(*command: str) -> str:
    """Run a command of the machine; returns what it prints."""
    name = f"`{' '.join(command)}`"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=COMMAND_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise FreshError(f"{name}: no end after {COMMAND_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise FreshError(f"{name} failed:\n{tail(done.stdout + done.stderr)}")
    return done.stdout


def _failure(command: str, reason: str, log: Path) -> FreshError:
    return FreshError(f"`{command}`: {reason}\n{tail(log.read_text())}")


def tail(text: str) -> str:
    """Return the last lines of an output."""
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    import tests.fresh.machine  # by its name, as tests.fresh.install knows it

    tests.fresh.machine.main()
