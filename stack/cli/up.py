"""``opsc up``: the whole system on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from stack.cli.options import DataDir, say
from stack.servers.cluster.machines import MACHINES
from stack.servers.listening import BY_IMEI, NO_INGEST
from stack.servers.runtime import DEFAULT_DATA_DIR
from stack.servers.stack import Stack
from stack.servers.system import running_stack


def described(stack: Stack) -> str:
    """Return one line per part with its address, then which ports and folders are in use."""
    addresses = {name: part.address for name, part in stack.parts.items()}
    addresses |= {"listener": stack.broker_url, "api": stack.api_url}
    if stack.broker_tls_url is not None:
        addresses["listener-tls"] = stack.broker_tls_url
    if stack.ingest_url is not None:
        addresses["devices"] = stack.ingest_url
    for name in BY_IMEI:
        if (address := os.environ.get(name) or NO_INGEST) != NO_INGEST:
            addresses[name.removeprefix("OPSC_LISTEN_").lower()] = address
    if stack.certificate is not None:
        addresses["certificate"] = str(stack.certificate.chain)
    addresses["dashboard"] = f"{stack.api_url}/app/"
    addresses["docs"] = f"{stack.api_url}/docs"
    addresses["data"] = str(stack.data_dir)
    addresses["logs"] = str(stack.data_dir / "log")
    if not os.environ.get("OPSC_MAIL_SMTP_URL"):
        addresses["letters"] = str(stack.mail_folder)
    width = max(map(len, addresses))
    lines = [f"{name:<{width}}  {address}" for name, address in addresses.items()]
    return "\n".join([*lines, *stack.ports.moved])


def next_steps(stack: Stack) -> str:
    """Return lines to paste into another terminal: addresses, an organization,
    simulated trackers.
    """
    opsc, data = _command(), _data_option(stack.data_dir)
    variables = f"API={stack.api_url} BROKER={stack.broker_url}"
    if stack.certificate is not None:
        variables += f" CURL_CA_BUNDLE={shlex.quote(str(stack.certificate.chain))}"
    return (
        "\nnext, in another terminal:\n"
        f"  export {variables}\n"
        f"  {opsc} org create --name Acme --email admin@acme.example{data}\n"
        + _to_try(stack, opsc, data)
    )


def _to_try(stack: Stack, opsc: str, data: str) -> str:
    """Return lines for simulated trackers. Where something is to be killed, deadlines would come
    before fixes that wait, and what follows from that cannot be foreseen.
    """
    if stack.copies == 1:
        return f"  {opsc} sim --trackers 10 --seconds 30 --verify{data}\n"
    return (
        f"  {opsc} sim --trackers 10 --seconds 120 --rules untimed --verify{data}\n"
        f"  {opsc} status{data}   # who leads; kill -9 any process\n"
    )


def _command() -> str:
    """Return how this program was called, where its name alone would not find it."""
    return "opsc" if shutil.which("opsc") == sys.argv[0] else shlex.quote(sys.argv[0])


def _data_option(data_dir: Path) -> str:
    is_usual = data_dir == DEFAULT_DATA_DIR.resolve()
    return "" if is_usual else f" --data {shlex.quote(str(data_dir))}"


def up(
    data: DataDir = DEFAULT_DATA_DIR,
    tls: Annotated[
        bool, typer.Option("--tls", help="TLS 1.3, with a certificate made for development.")
    ] = False,
    cluster: Annotated[
        int | None,
        typer.Option(
            "--cluster",
            metavar="3",
            help="Three PostgreSQL that fail over, a log of three RabbitMQ and two of each role, to"
            " try what happens when one is lost (docs/failover.md).",
        ),
    ] = None,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    if cluster not in (None, MACHINES):
        raise typer.BadParameter(
            f"must be {MACHINES}: one of three may be lost", param_hint="--cluster"
        )
    asyncio.run(_up(data, tls, cluster is not None))


async def _up(data_dir: Path, tls: bool, is_cluster: bool) -> None:
    stop = stop_event()
    async with running_stack(data_dir, say, stop, tls=tls, is_cluster=is_cluster) as stack:
        print(described(stack), next_steps(stack), sep="\n", flush=True)
        say("ready; Ctrl-C stops everything")
        await stop.wait()
        say("stopping")


def stop_event() -> asyncio.Event:
    """Set by Ctrl-C, SIGTERM and a terminal that is closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop
