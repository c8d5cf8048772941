"""``opsc up``: the whole system on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from stack.cli.next_steps import described, next_steps
from stack.servers.runtime import DEFAULT_DATA_DIR
from stack.servers.system import running_stack

DataDir = Annotated[
    Path, typer.Option("--data", file_okay=False, help="Folder that holds all data.")
]


def up(
    data: DataDir = DEFAULT_DATA_DIR,
    tls: Annotated[
        bool, typer.Option("--tls", help="TLS 1.3, with a certificate made for development.")
    ] = False,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    asyncio.run(_up(data, tls))


async def _up(data_dir: Path, tls: bool) -> None:
    stop = stop_event()
    async with running_stack(data_dir, say, stop, tls=tls) as stack:
        print(described(stack), next_steps(stack), sep="\n", flush=True)
        say("ready; Ctrl-C stops everything")
        await stop.wait()
        say("stopping")


def say(text: str) -> None:
    """Print progress to stderr: stdout is for results. A full disk behind it ends nothing."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def stop_event() -> asyncio.Event:
    """Set by Ctrl-C, SIGTERM and a terminal that is closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop
