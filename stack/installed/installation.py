"""A server after docs/install.md: the roles run as units of systemd, their settings are in files.

`find_installation` asks systemd and reads the files, as far as this user may: anybody may ask
systemd, the files are for root. Nothing is changed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from db.core.connect import check_url
from service.former_settings import FormerSettings, rename_former
from service.health import read_address
from stack.installed.readiness import readiness
from stack.servers.checks import in_url, output
from stack.servers.runtime import has_settings_files
from stack.servers.settings import ROLES, refused_settings

TARGET = "ops-companion.target"
CREDENTIALS = "/run/credentials/"
EVERY_ADDRESS = ("", "0.0.0.0", "::")
_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "Result", "MainPID", "ExecMainStatus", "Environment",
    "EnvironmentFiles",
)  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """A unit as systemd has it. settings: variables of the unit and of its files, which win, by
    today's names; former: those that were given by others; unread: files that this user may not
    read; missing: files that are not there.
    """

    name: str
    state: str  # ActiveState: active, activating, failed, inactive
    result: str
    exit_code: str
    pid: int | None
    settings: Mapping[str, str]
    former: FormerSettings
    unread: Sequence[Path] = ()
    missing: Sequence[Path] = ()

    @property
    def short_name(self) -> str:
        return self.name.removesuffix(".service")

    @property
    def role(self) -> str | None:
        """The role of a unit that stays; None for timers, backups and migrations."""
        name = self.short_name.removeprefix("opsc-").partition("@")[0]
        return name if name in ROLES else None

    @property
    def trouble(self) -> str | None:
        """The reason why the unit does not run, or has failed; None where all is well."""
        look = f"see `journalctl -u {self.short_name}`"
        has_failed = self.state == "failed" or self.result != "success"
        # A unit that nobody starts on this machine may be without its settings.
        if self.missing and (has_failed or self.role is not None):
            return f"has no {', '.join(map(str, self.missing))}: docs/install.md makes it"
        if has_failed:
            return f"failed ({self.result}, exit code {self.exit_code}); {look}"
        if self.role is not None and self.state == "inactive":
            return f"is stopped; `systemctl start {self.short_name}` starts it"
        if self.role is not None and self.state != "active":
            return f"is {self.state}; {look}"
        return None

    def health(self) -> tuple[bool, str]:
        """Ask a role whether it can do its work, or stands by, and what else it says. False where a
        page does not answer, with the reason.
        """
        if self.trouble is not None:
            return False, self.trouble
        certificate = self.setting("tls_cert") if self.role == "api" else None
        return min(readiness(f"{page}/readyz", certificate) for page in self.pages)

    @cached_property
    def refused(self) -> list[str]:
        """A line for each setting that the role would refuse, or miss. systemd's copies of secret
        files count as good: it shows them to the unit alone.
        """
        if self.role is None:
            return []
        unseen = {name for name, value in self.settings.items() if value.startswith(CREDENTIALS)}
        lines = [*self.former.faults, *refused_settings(self.role, self.settings)]
        return [line for line in lines if unseen.isdisjoint(line.partition(":")[0].split())]

    def setting(self, name: str) -> Any:
        """Return a setting of the role by the name of its field; the role's default where it is not
        set, or would be refused.
        """
        assert self.role is not None
        variable = f"OPSC_{name.upper()}"
        default = ROLES[self.role].model_fields[name].default
        if any(line.startswith(f"{variable}:") for line in self.refused):
            return default
        return self.settings.get(variable, default)

    @property
    def address(self) -> str:
        """The address that others connect to; of a role that nobody connects to, its page."""
        if self.role == "api":
            return f"{self.setting('api_host')}:{self.setting('api_port')}"
        if self.role == "listen":
            plain, tls = self.setting("listen_port"), self.setting("listen_tls_port")
            return f"{self.setting('listen_host')}:{plain if int(plain) else tls}"
        return str(self.setting(f"{self.role}_http"))

    @property
    def pages(self) -> list[str]:
        """The URLs of the role's pages of health, each without its path: one a process, but one
        for all processes of the API.
        """
        if self.role == "api":
            scheme = "http" if self.setting("tls_cert") is None else "https"
            return [f"{scheme}://{reached(self.setting('api_host'))}:{self.setting('api_port')}"]
        host, port = read_address(self.setting(f"{self.role}_http"))
        processes = int(self.setting("listen_processes")) if self.role == "listen" else 1
        return [f"http://{reached(host)}:{port + number}" for number in range(processes)]


@dataclass(frozen=True)
class Installation:
    """The units of this machine, in the order of their names."""

    units: Sequence[Unit]

    @cached_property
    def roles(self) -> list[Unit]:
        return [unit for unit in self.units if unit.role is not None]

    @cached_property
    def unread(self) -> list[Path]:
        """Files of settings that this user may not read."""
        return sorted({path for unit in self.units for path in unit.unread})

    def unit(self, name: str) -> Unit | None:
        return next((unit for unit in self.units if unit.name == name), None)

    def databases(self) -> Iterator[tuple[Unit, str]]:
        """Yield each unit that has a login to the database, with it; ingest, which sees all
        organizations, comes first. A URL that is none is left out: errors would show its password.
        """
        for unit in sorted(self.units, key=lambda unit: unit.role != "ingest"):
            url = unit.settings.get("OPSC_DATABASE_URL", "")
            with suppress(ValueError):
                check_url(url)
                yield unit, url


def find_installation() -> Installation | None:
    """Return what is installed on this machine; None where nothing is."""
    shown = {block["Id"]: block for block in _shown() if block.get("LoadState") == "loaded"}
    if not shown and not has_settings_files():
        return None
    return Installation([_unit(shown[name]) for name in sorted(shown)])


def reached(host: str) -> str:
    """Return the address of this machine in a URL, for a host that a role listens on."""
    return "127.0.0.1" if host in EVERY_ADDRESS else in_url(host)


def _shown() -> Iterator[dict[str, str]]:
    """Yield the properties of each unit of ours; none where no systemd runs. Lines of a property
    that has several come as one.

    systemd forgets units that are stopped: the pattern finds the others, the target all roles.
    """
    roles = _systemctl("show", "--value", "--property", "Wants", TARGET).split()
    shown = _systemctl("show", "--property", ",".join(_PROPERTIES), "opsc-*", *roles)
    for block in filter(None, shown.split("\n\n")):
        values: dict[str, str] = {}
        for line in block.splitlines():
            name, _, value = line.partition("=")
            values[name] = f"{values[name]}\n{value}" if name in values else value
        yield values


def _systemctl(*arguments: str) -> str:
    """Return what systemctl prints; nothing where no systemd runs."""
    return output(["systemctl", *arguments]) or ""


def _unit(shown: Mapping[str, str]) -> Unit:
    settings = dict(pair.split("=", 1) for pair in shlex.split(shown.get("Environment", "")))
    unread, missing = [], []
    for line in shown.get("EnvironmentFiles", "").splitlines():
        path, _, options = line.partition(" (")
        try:
            settings |= _read(Path(path))
        except PermissionError:
            unread.append(Path(path))
        except OSError:
            if "ignore_errors=no" in options:
                missing.append(Path(path))
    former = rename_former(settings)
    return Unit(
        name=shown["Id"],
        state=shown["ActiveState"],
        result=shown.get("Result") or "success",
        exit_code=shown.get("ExecMainStatus", ""),
        pid=int(shown.get("MainPID") or 0) or None,
        settings=settings,
        former=former,
        unread=unread,
        missing=missing,
    )


def _read(path: Path) -> dict[str, str]:
    with path.open() as file:
        read = dotenv_values(stream=file, interpolate=False)
    return {name: value for name, value in read.items() if value is not None}
