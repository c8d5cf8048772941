"""``opsc doctor``: what of this machine and its settings is in the way of ``opsc up``."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stack.cli.options import DataDir
from stack.servers.checks import Finding, examine
from stack.servers.runtime import DEFAULT_DATA_DIR


def doctor(
    data: DataDir = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check ports, disk, memory, clock, versions, rights and settings; exit code 1 on a fault."""
    findings = examine(data)
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        print("\n".join(map(_line, findings)))
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    advice = f"; {finding.advice}" if finding.advice else ""
    return f"{finding.level:<8} {finding.subject:<12} {finding.text}{advice}"
