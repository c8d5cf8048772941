"""The `opsc` command as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OPSC = Path(sys.executable).with_name("opsc")
WAIT_S = 60.0


def plain_environment() -> dict[str, str]:
    """Return our environment without settings for servers elsewhere."""
    elsewhere = ("OPSC_DATABASE_URL", "OPSC_BROKER_URL")
    return {name: value for name, value in os.environ.items() if name not in elsewhere}


def opsc(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [OPSC, *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        env=plain_environment() | variables,
    )
