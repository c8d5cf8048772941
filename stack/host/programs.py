"""The servers' programs, found or fetched where the system has none.

``provision(folder)`` returns where PostgreSQL 17 with TimescaleDB is: the system's own where it is
installed, else a private copy that apt downloads and dpkg unpacks into ``folder``. Nothing outside
``folder`` is written, no package is installed, no privilege is needed. A second call finds the copy
and writes nothing; calls at the same time wait for one another.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stack.errors import StackError
from stack.host.os_user import reachable_home

POSTGRES_MAJOR = 17
PACKAGES = (f"postgresql-{POSTGRES_MAJOR}", f"postgresql-{POSTGRES_MAJOR}-timescaledb")
SYSTEM_ROOT = Path("/")
POSTGRES_BIN = f"usr/lib/postgresql/{POSTGRES_MAJOR}/bin"
TIMESCALEDB = f"usr/share/postgresql/{POSTGRES_MAJOR}/extension/timescaledb.control"
# Compilers for just-in-time queries, which we turn off: 130 MB that nothing would read.
NOT_UNPACKED = ("libllvm", "libz3-")
UNPACKED = "root"  # below the folder for private copies
APT_TIMEOUT_S = 600.0
ATTEMPTS = 2

Say = Callable[[str], None]
ProgramsT = TypeVar("ProgramsT")


class ProvisionError(StackError):
    """The servers' programs cannot be had here; the text says what the user can do."""


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs, and the variables that they need to start."""

    postgres_bin: Path
    postgres_environment: Mapping[str, str]


def servers_dir(data_dir: Path | None = None) -> Path:
    """Return the folder for private copies.

    OPSC_SERVERS_DIR, else `servers` in the data folder. A copy in ./var that is there already is
    used instead of fetching another, if it belongs to root or to us.
    """
    if chosen := os.environ.get("OPSC_SERVERS_DIR"):
        return Path(chosen).resolve()
    usual = reachable_home(Path("var/servers"))
    if data_dir is None:
        return usual
    own = reachable_home(data_dir / "servers")
    return usual if not (own / UNPACKED).exists() and _is_trusted(usual / UNPACKED) else own


def _is_trusted(folder: Path) -> bool:
    return folder.exists() and folder.stat().st_uid in (0, os.geteuid())


def provision(folder: Path | None = None, say: Say = print) -> Programs:
    """Return programs of the system, of an earlier call, or freshly fetched, in this order."""
    return provided(folder or servers_dir(), PACKAGES, find_programs, say)


def provided(
    folder: Path,
    packages: Sequence[str],
    find: Callable[[Sequence[Path]], ProgramsT | None],
    say: Say = print,
) -> ProgramsT:
    """Return what `find` finds below the system's root, or below the packages' private copy."""
    unpacked = folder / UNPACKED
    programs = find([SYSTEM_ROOT, unpacked])
    if programs is None:
        with locked_folder(folder):
            programs = find([SYSTEM_ROOT, unpacked])
            if programs is None:
                _fetch(folder, packages, say)
                programs = find([SYSTEM_ROOT, unpacked])
    if programs is None:
        raise ProvisionError(f"the packages were unpacked into {unpacked} but programs are missing")
    return programs


def provision_clients(say: Say = print) -> Programs:
    """Return pg_dump and pg_restore alone: a database elsewhere needs no server here."""
    for root in (SYSTEM_ROOT, servers_dir() / UNPACKED):
        if (root / POSTGRES_BIN / "pg_restore").exists():
            return Programs(root / POSTGRES_BIN, library_path(root))
    return provision(None, say)


def find_programs(roots: Sequence[Path]) -> Programs | None:
    """Find PostgreSQL below the first root that has it with TimescaleDB; ``None``
    where none has.
    """
    root = next((root for root in roots if _has_postgres(root)), None)
    return None if root is None else Programs(root / POSTGRES_BIN, library_path(root))


def _has_postgres(root: Path) -> bool:
    return (root / POSTGRES_BIN / "postgres").exists() and (root / TIMESCALEDB).exists()


def library_path(root: Path) -> dict[str, str]:
    """Return the variables that programs below a root need to find their libraries."""
    if root == SYSTEM_ROOT:
        return {}
    folders = [root / "usr/lib", *sorted((root / "usr/lib").glob("*-linux-*"))]
    return {"LD_LIBRARY_PATH": ":".join(str(f) for f in folders)}


def _make_folder(folder: Path) -> None:
    """Create a folder whose content the service user can read, whatever the caller's umask."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in made:
            path.chmod(0o755)
    except OSError as error:
        raise ProvisionError(
            f"cannot make {folder}: {error.strerror}; set OPSC_SERVERS_DIR to a writable folder"
        ) from error


@contextmanager
def locked_folder(folder: Path, name: str = "lock") -> Iterator[None]:
    """Hold a folder for private copies, which is made, too. Raises ProvisionError."""
    _make_folder(folder)
    with (folder / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, packages: Sequence[str], say: Say) -> None:
    say(f"fetching {', '.join(packages)} into {folder} (once; nothing is installed)")
    try:
        fetch(folder, packages)
    except ProvisionError as error:
        raise ProvisionError(_no_packages(packages, str(error))) from None


def fetch(folder: Path, packages: Sequence[str], source: str | None = None) -> None:
    """Unpack packages into `folder`/`UNPACKED`, with all that they need. Raises ProvisionError.

    source: the line of apt's sources that has them, in place of the system's sources; then they are
    unpacked alone, for the packages of this system need not fit them.
    """
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise ProvisionError(f"{tool} is not on this system")
    environment = _apt_environment(folder, source)
    archives = folder / "apt/cache/archives"
    try:
        _apt(environment, "update")
        _require_candidates(environment, packages)
        if source is None:
            # A copy is whole only with --reinstall: apt skips what the system has.
            options = ("--download-only", "--no-install-recommends", "--reinstall")
            _apt(environment, "install", *options, *packages)
        else:
            _apt(environment, "download", *packages, cwd=archives)
        _unpack(archives, folder / UNPACKED)
    finally:
        shutil.rmtree(folder / "apt", ignore_errors=True)


def _apt_environment(folder: Path, source: str | None) -> dict[str, str]:
    """Return variables for apt with the system's keys, and its sources if none is given, but lists,
    cache and locks of our own.
    """
    apt = folder / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True)
    settings = {
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Dir::Log": apt,
        "Debug::NoLocking": "true",
        "APT::Sandbox::User": "",
        "APT::Keep-Downloaded-Packages": "true",
        "Acquire::Retries": "3",
        "Acquire::http::Timeout": "30",
    }
    if source is not None:
        (apt / "sources.list").write_text(f"{source}\n")
        settings |= {"Dir::Etc::sourcelist": apt / "sources.list", "Dir::Etc::sourceparts": "-"}
    lines = [f'{name} "{value}";\n' for name, value in settings.items()]
    # Hooks of the system are for the system's own lists.
    lines += [f"#clear APT::Update::{hook};\n" for hook in ("Post-Invoke", "Post-Invoke-Success")]
    configuration = apt / "apt.conf"
    configuration.write_text("".join(lines))
    return {**os.environ, "APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8"}


def _apt(
    environment: Mapping[str, str], verb: str, *arguments: str, cwd: Path | None = None
) -> None:
    """Run apt-get, once more if it failed: mirrors do fail now and then."""
    command = ["apt-get", "-qq", "--yes", verb, *arguments]
    output = ""
    for _ in range(ATTEMPTS):
        code, output = _run(command, environment, cwd)
        # `update` reports an unreachable mirror as a warning and exits with 0.
        if code == 0 and not (verb == "update" and "Failed to fetch" in output):
            return
    raise ProvisionError(f"`{' '.join(command)}` failed:\n{_tail(output)}")


def _require_candidates(environment: Mapping[str, str], packages: Sequence[str]) -> None:
    missing = [p for p in packages if not _has_candidate(environment, p)]
    if missing:
        raise ProvisionError(
            f"the package sources of this system ({_system_name()}) do not have "
            f"{', '.join(missing)} (Debian has them from 13 on)"
        )


def _has_candidate(environment: Mapping[str, str], package: str) -> bool:
    _, output = _run(["apt-cache", "policy", package], environment)
    return "Candidate:" in output and "Candidate: (none)" not in output


def _run(
    command: list[str], environment: Mapping[str, str], cwd: Path | None = None
) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=APT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no end after {APT_TIMEOUT_S:.0f} s"
    return done.returncode, done.stdout


def _unpack(archives: Path, target: Path) -> None:
    """Unpack beside the target and rename, so that a cut-off run never looks complete."""
    partial = target.with_name("root.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    partial.mkdir()
    for archive in sorted(archives.glob("*.deb")):
        if archive.name.startswith(NOT_UNPACKED):
            continue
        code, output = _run(["dpkg", "-x", str(archive), str(partial)], os.environ)
        if code != 0:
            raise ProvisionError(f"cannot unpack {archive.name}: {_tail(output)}")
    partial.chmod(0o755)
    partial.rename(target)


def _system_name() -> str:
    release = Path("/etc/os-release")
    for line in release.read_text().splitlines() if release.exists() else []:
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "unknown system"


def _no_packages(packages: Sequence[str], reason: str) -> str:
    advice = f"Install {' '.join(packages)} (packages of Debian 13)"
    if packages == PACKAGES:
        advice += ",\nor set OPSC_DATABASE_URL to a server that runs already"
    return f"{reason}\n{advice}."


def _tail(output: str, lines: int = 15) -> str:
    return "\n".join(output.strip().splitlines()[-lines:])
