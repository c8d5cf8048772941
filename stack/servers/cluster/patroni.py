"""Patroni, each with the PostgreSQL that it keeps.

The settings are those of deploy/cluster/patroni.yml. Patroni has an environment of its own, by
requirements-cluster.lock.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from stack.host.os_user import Capability, OsUser
from stack.host.pages import open_page
from stack.host.process import Command, last_lines
from stack.host.programs import Programs, ProvisionError, Say, locked_folder, servers_dir
from stack.servers.cluster.etcd import Member
from stack.servers.postgres import LOOPBACK, make_home, write_private

PASSWORDS = ("SUPERUSER", "REPLICATION", "REWIND")
TIMEOUT_S = 1
STOP_S = 60.0
_SOURCE = Path(__file__).parents[3]
_LOCK = _SOURCE / "requirements-cluster.lock"
_SETTINGS = _SOURCE / "deploy" / "cluster" / "patroni.yml"
_MADE = ".made"  # has the checksum of the lock file
_INSTALL_S = 600.0
# Debian's folder for sockets is for its own user.
_ON_ONE_MACHINE = 'postgresql: {parameters: {unix_socket_directories: ""}}\n'


def find_patroni(folder: Path | None = None) -> Path | None:
    """Return the Python of an environment that has Patroni, if it was made."""
    environment = (folder or servers_dir()) / "patroni"
    try:
        is_made = (environment / _MADE).read_text() == _checksum()
    except OSError:
        return None
    return environment / "bin" / "python" if is_made else None


def patroni(folder: Path | None = None, say: Say = print) -> Path:
    """Return the same, made where it is not there. Raises ProvisionError."""
    folder = folder or servers_dir()
    with locked_folder(folder, "patroni.lock"):
        return find_patroni(folder) or _made(folder / "patroni", say)


def _checksum() -> str:
    return hashlib.sha256(_LOCK.read_bytes()).hexdigest()


def _made(environment: Path, say: Say) -> Path:
    if not (_LOCK.exists() and _SETTINGS.exists()):
        raise ProvisionError(
            f"a cluster needs a clone of the repository: {_LOCK.name} and deploy/cluster are not"
            f" in {_SOURCE}"
        )
    say(f"fetching Patroni into {environment} (once; nothing is installed)")
    shutil.rmtree(environment, ignore_errors=True)
    log = environment.with_name("patroni.log")
    python = environment / "bin" / "python"
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
    try:
        with log.open("wb") as output:
            for command in (
                [sys.executable, "-m", "venv", str(environment)],
                [str(python), *pip, "-r", str(_LOCK)],
            ):
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    timeout=_INSTALL_S,
                    check=True,
                )
    except (OSError, subprocess.SubprocessError) as error:
        raise ProvisionError(
            f"Patroni cannot be had: {error}; the last lines of {log}:\n{last_lines(log)}"
        ) from None
    (environment / _MADE).write_text(_checksum())
    return python


class Machine(NamedTuple):
    """Patroni, and the PostgreSQL that it keeps."""

    name: str
    command: Command
    data_dir: Path
    rest_port: int
    postgres_port: int

    def state(self) -> Mapping[str, Any]:
        """Return what Patroni says of itself; nothing where it does not answer."""
        return patroni_state(self.rest_port)

    def answers(self) -> bool:
        return bool(self.state())

    @property
    def leads(self) -> bool:
        state = self.state()
        return state.get("role") == "primary" and state.get("state") == "running"

    def postgres_pid(self) -> int:
        """Raises OSError or ValueError where there is none."""
        return postgres_pid(self.data_dir)


def patroni_state(rest_port: int) -> Mapping[str, Any]:
    try:
        with open_page(f"http://{LOOPBACK}:{rest_port}/patroni", TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with suppress(ValueError):
            return json.load(error)
    except (OSError, ValueError):
        pass
    return {}


def postgres_pid(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def names(count: int) -> Sequence[str]:
    return [f"postgres-{number}" for number in range(1, count + 1)]


def port_names(count: int) -> Sequence[str]:
    return [f"{prefix}{name}" for name in names(count) for prefix in ("", "patroni of ")]


def machine(
    name: str,
    python: Path,
    programs: Programs,
    home: Path,
    etcd: Sequence[Member],
    passwords: Mapping[str, str],
    ports: Mapping[str, int],
    log: Callable[[str], Path],
    user: OsUser | None,
) -> Machine:
    """Write the settings of a machine below `home`, and return it."""
    data_dir, rest_port = home / name, ports[f"patroni of {name}"]
    filled = Template(_SETTINGS.read_text()).substitute(
        NAME=name,
        ADDRESS=LOOPBACK,
        NETWORK=f"{LOOPBACK}/32",
        ETCD_HOSTS=json.dumps([f"{LOOPBACK}:{one.client_port}" for one in etcd]),
        REST_PORT=rest_port,
        POSTGRES_PORT=ports[name],
        DATA_DIR=data_dir,
        BIN_DIR=programs.postgres_bin,
        **{f"{word}_PASSWORD": password for word, password in passwords.items()},
    )
    settings = home / f"{name}.settings"
    make_home(settings, user)
    write_private(settings / "1.yml", filled, user)
    write_private(settings / "2.yml", _ON_ONE_MACHINE, user)
    command = Command(
        name=name,
        argv=[str(python), "-P", "-m", "patroni", str(settings)],
        environment={
            **programs.postgres_environment,
            "PATRONI_POSTGRESQL_PGPASS": f"{home}/{name}.pass",
        },
        log=log(name),
        identity=user,
        has_no_rights=True,
        rights=[Capability.DAC_READ_SEARCH],
        cwd=home,
        stop_signals=[(signal.SIGTERM, STOP_S)],
        death_signal=signal.SIGTERM,  # it ends PostgreSQL then
    )
    return Machine(name, command, data_dir, rest_port, ports[name])
