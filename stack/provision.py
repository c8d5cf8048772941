"""Finds the servers' programs, and fetches them where the system has none.

``provision(folder)`` returns where PostgreSQL 17 with TimescaleDB, mosquitto and tcc are: the
system's own where they are installed, else a private copy that apt downloads and dpkg unpacks into
``folder``. Nothing outside ``folder`` is written, no package is installed, no privilege is needed.
A second call finds the copy and writes nothing; calls at the same time wait for one another.
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

from stack.errors import StackError
from stack.identity import reachable_home

POSTGRES_MAJOR = 17
PACKAGES = (
    f"postgresql-{POSTGRES_MAJOR}",
    f"postgresql-{POSTGRES_MAJOR}-timescaledb",
    "mosquitto",
    "tcc",  # a small compiler, for our plugin of mosquitto
)
SYSTEM_ROOT = Path("/")
POSTGRES_BIN = f"usr/lib/postgresql/{POSTGRES_MAJOR}/bin"
TIMESCALEDB = f"usr/share/postgresql/{POSTGRES_MAJOR}/extension/timescaledb.control"
MOSQUITTO = "usr/sbin/mosquitto"
COMPILER = "usr/bin/tcc"
# Compilers for just-in-time queries, which we turn off: 130 MB that nothing would read.
NOT_UNPACKED = ("libllvm", "libz3-")
UNPACKED = "root"  # below the folder for private copies
APT_TIMEOUT_S = 600.0
ATTEMPTS = 2

Say = Callable[[str], None]


class ProvisionError(StackError):
    """The servers' programs cannot be had here; the text says what the user can do."""


@dataclass(frozen=True)
class PostgresPrograms:
    """Where PostgreSQL's programs are, and the variables that they need to start."""

    postgres_bin: Path
    postgres_environment: Mapping[str, str]


@dataclass(frozen=True)
class Programs(PostgresPrograms):
    """The same of all servers."""

    mosquitto: Path
    mosquitto_environment: Mapping[str, str]
    compiler: Path


def servers_dir(data_dir: Path | None = None) -> Path:
    """The folder for private copies.

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
    """Programs of the system, of an earlier call, or freshly fetched, in this order."""
    folder = folder or servers_dir()
    unpacked = folder / UNPACKED
    found = find_programs([SYSTEM_ROOT, unpacked])
    if found is None:
        _make_folder(folder)
        with _locked(folder / "lock"):
            found = find_programs([SYSTEM_ROOT, unpacked])
            if found is None:
                _fetch(folder, unpacked, say)
                found = find_programs([SYSTEM_ROOT, unpacked])
    if found is None:
        raise ProvisionError(f"the packages were unpacked into {unpacked} but programs are missing")
    return found


def provision_clients(say: Say = print) -> PostgresPrograms:
    """pg_dump and pg_restore alone: a database elsewhere needs neither server nor broker here."""
    for root in (SYSTEM_ROOT, servers_dir() / UNPACKED):
        if (root / POSTGRES_BIN / "pg_restore").exists():
            return PostgresPrograms(root / POSTGRES_BIN, _library_path(root))
    return provision(None, say)


def find_programs(roots: Sequence[Path]) -> Programs | None:
    """The first of each below the roots, or ``None`` if something is in none of them."""
    postgres = next((root for root in roots if _has_postgres(root)), None)
    broker = next((root for root in roots if (root / MOSQUITTO).exists()), None)
    compiler = next((root / COMPILER for root in roots if (root / COMPILER).exists()), None)
    if postgres is None or broker is None or compiler is None:
        return None
    return Programs(
        postgres_bin=postgres / POSTGRES_BIN,
        postgres_environment=_library_path(postgres),
        mosquitto=broker / MOSQUITTO,
        mosquitto_environment=_library_path(broker),
        compiler=compiler,
    )


def _has_postgres(root: Path) -> bool:
    return (root / POSTGRES_BIN / "postgres").exists() and (root / TIMESCALEDB).exists()


def _library_path(root: Path) -> dict[str, str]:
    if root == SYSTEM_ROOT:
        return {}
    folders = [root / "usr/lib", *sorted((root / "usr/lib").glob("*-linux-*"))]
    return {"LD_LIBRARY_PATH": ":".join(str(f) for f in folders)}


def _make_folder(folder: Path) -> None:
    """The service user has to read what is unpacked, whatever the caller's umask."""
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
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, unpacked: Path, say: Say) -> None:
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise ProvisionError(_no_packages(f"{tool} is not on this system"))
    say(f"fetching {', '.join(PACKAGES)} into {folder} (once; nothing is installed)")
    environment = _apt_environment(folder)
    try:
        _apt(environment, "update")
        _require_candidates(environment)
        # A copy is whole only with --reinstall: apt skips what the system has.
        _apt(environment, "install", "--download-only", "--no-install-recommends", "--reinstall")
        _unpack(folder / "apt/cache/archives", unpacked)
    finally:
        shutil.rmtree(folder / "apt", ignore_errors=True)


def _apt_environment(folder: Path) -> dict[str, str]:
    """apt with the system's sources and keys, but lists, cache and locks of our own."""
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
    lines = [f'{name} "{value}";\n' for name, value in settings.items()]
    # Hooks of the system are for the system's own lists.
    lines += [f"#clear APT::Update::{hook};\n" for hook in ("Post-Invoke", "Post-Invoke-Success")]
    configuration = apt / "apt.conf"
    configuration.write_text("".join(lines))
    return {**os.environ, "APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8"}


def _apt(environment: Mapping[str, str], verb: str, *options: str) -> None:
    """Run apt-get, once more if it failed: mirrors do fail now and then."""
    packages = PACKAGES if verb == "install" else ()
    command = ["apt-get", "-qq", "--yes", *options, verb, *packages]
    output = ""
    for _ in range(ATTEMPTS):
        code, output = _run(command, environment)
        # `update` reports an unreachable mirror as a warning and exits with 0.
        if code == 0 and not (verb == "update" and "Failed to fetch" in output):
            return
    raise ProvisionError(_no_packages(f"`{' '.join(command)}` failed:\n{_tail(output)}"))


def _require_candidates(environment: Mapping[str, str]) -> None:
    missing = [p for p in PACKAGES if not _has_candidate(environment, p)]
    if missing:
        raise ProvisionError(
            _no_packages(
                f"the package sources of this system ({_system_name()}) do not have "
                f"{', '.join(missing)} (Debian has them from 13 on)"
            )
        )


def _has_candidate(environment: Mapping[str, str], package: str) -> bool:
    _, output = _run(["apt-cache", "policy", package], environment)
    return "Candidate:" in output and "Candidate: (none)" not in output


def _run(command: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
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


def _no_packages(reason: str) -> str:
    return (
        f"{reason}\n"
        f"Install PostgreSQL {POSTGRES_MAJOR} with TimescaleDB, mosquitto and tcc (on Debian 13: "
        f"{' '.join(PACKAGES)}),\n"
        "or set OPSC_DATABASE_URL and OPSC_BROKER_URL to servers that run already."
    )


def _tail(output: str, lines: int = 15) -> str:
    return "\n".join(output.strip().splitlines()[-lines:])
