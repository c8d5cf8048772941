"""``opsc doctor``: what of this machine and its settings is in the way, on a server or of
``opsc up``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from stack.cli.options import WantedDataDir
from stack.errors import StackError
from stack.installed.database_checks import data_folder
from stack.installed.installation import find_installation
from stack.installed.server_checks import examine_server
from stack.servers.checks import Finding, examine
from stack.servers.postgres_sizes import configuration, machine_memory_bytes
from stack.servers.runtime import DEFAULT_DATA_DIR

POSTGRES_PORT = "5432"
LEVELS = {"ok": 0, "warning": 1, "fault": 2}


def doctor(
    data: WantedDataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    postgres: Annotated[
        bool, typer.Option("--postgres", help="Print PostgreSQL's settings for this machine.")
    ] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="File to write for the textfile collector of Prometheus.")
    ] = None,
) -> None:
    """Check a server's units, database, backups, certificates and settings; exit code 1 on a fault.

    Elsewhere, or with --data: ports, disk, memory, clock, versions, rights and settings, before
    `opsc up`.
    """
    if postgres:
        disk = shutil.disk_usage(data_folder(POSTGRES_PORT) or Path("/"))
        print(configuration(machine_memory_bytes(), disk.total), end="")
        return
    server = find_installation() if data is None else None
    findings = examine(data or DEFAULT_DATA_DIR) if server is None else examine_server(server)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        print("\n".join(map(_line, findings)))
    if metrics is not None:
        _write_metrics(metrics, findings)
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{finding.level:<8} {finding.subject:<12} {finding.text}{advice}"


def _write_metrics(path: Path, findings: Sequence[Finding]) -> None:
    try:
        write_to_textfile(str(path), doctor_metrics(findings))
    except OSError as error:
        raise StackError(f"cannot write {path}: {error.strerror}") from error


def doctor_metrics(findings: Sequence[Finding]) -> CollectorRegistry:
    """Return the worst level of each subject, and when it was found."""
    registry = CollectorRegistry()
    level = Gauge(
        "opsc_doctor_level",
        "What `opsc doctor` found: 0 ok, 1 warning, 2 fault.",
        ["subject"],
        registry=registry,
    )
    for finding in sorted(findings, key=lambda finding: LEVELS[finding.level]):
        level.labels(finding.subject.replace(" ", "_")).set(LEVELS[finding.level])
    Gauge(
        "opsc_doctor_time_seconds", "When `opsc doctor` looked last.", registry=registry
    ).set_to_current_time()
    return registry
