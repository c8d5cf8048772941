"""The option that most commands have, and how they say what they do.

Nothing else is imported here: a command that only asks a running system need not load what
`opsc up` needs to start one.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path, typer.Option("--data", file_okay=False, help="Folder that holds all data.")
]

WantedDataDir = Annotated[
    Path | None,
    typer.Option(
        "--data", file_okay=False, help="Folder of an `opsc up`; else what this machine runs."
    ),
]


def say(text: str) -> None:
    """Print progress to stderr: stdout is for results. A full disk behind it ends nothing."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)
