"""A server after docs/install.md, as far as `opsc status` and `opsc doctor` see one: files of
settings, and a stand-in for systemctl that prints what the real one printed of such units.

Only systemd is made up. Whatever the settings name is real.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stack.cli.main import build
from stack.installed.installation import find_installation
from stack.installed.server_checks import examine_server
from stack.servers.checks import Finding

# `systemctl show opsc-ingest` of systemd 257.
UNIT = """MainPID={pid}
Result={result}
ExecMainStatus={exit_code}
Environment={environment}
{files}Id={name}
LoadState=loaded
ActiveState={state}
"""


def found(subject: str) -> list[Finding]:
    """Return what the doctor finds on this subject, with a level other than ok, or the ok."""
    server = find_installation()
    assert server is not None
    findings = [each for each in examine_server(server) if each.subject == subject]
    assert "opsc up" not in str(findings)
    return [each for each in findings if each.level != "ok"] or findings


def called(*arguments: str) -> Result:
    result = CliRunner().invoke(build(arguments[0]), list(arguments))
    assert "opsc up" not in result.output
    return result


class MadeServer:
    """Units and files below a folder, found first in PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._units = folder, dict[str, str]()
        (folder / "bin").mkdir(parents=True)
        (folder / "etc").mkdir()
        self.add_program(
            "systemctl",
            f'case "$*" in *Wants*) echo ;; *) cat {folder}/units ;; esac',
        )
        monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
        monkeypatch.chdir(folder)  # without a data folder of `opsc up`
        self._write()

    def add_program(self, name: str, script: str) -> None:
        """Put a program in PATH."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def add(
        self,
        name: str,
        settings: dict[str, str] | None = None,
        *,
        state: str = "active",
        result: str = "success",
        exit_code: int = 0,
        pid: int = 0,
        environment: str = "",
        has_file: bool = True,
    ) -> Path:
        """Add a unit with a file of settings, which is returned; replace one of the same name."""
        path = self.folder / "etc" / f"{name}.env"
        if has_file:
            lines = (f"{key}={value}\n" for key, value in (settings or {}).items())
            path.write_text(f"# of {name}\n{''.join(lines)}")
        full_name = name if name.endswith(".timer") else f"{name}.service"
        self._units[full_name] = UNIT.format(
            name=full_name,
            state=state,
            result=result,
            exit_code=exit_code,
            pid=pid,
            environment=environment,
            files=f"EnvironmentFiles={path} (ignore_errors=no)\n",
        )
        self._write()
        return path

    def _write(self) -> None:
        (self.folder / "units").write_text("\n".join(self._units.values()))
