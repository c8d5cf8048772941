"""Next steps for somebody who has just started the system: where it is, and what to try."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from stack.servers.runtime import DEFAULT_DATA_DIR
from stack.servers.system import Stack


def described(stack: Stack) -> str:
    """Return one line per part with its address, then which ports and folders are in use."""
    addresses = {name: part.address for name, part in stack.parts.items()}
    addresses |= {"listener": stack.broker_url, "api": stack.api_url}
    if stack.broker_tls_url is not None:
        addresses["listener-tls"] = stack.broker_tls_url
    if stack.certificate is not None:
        addresses["certificate"] = str(stack.certificate.chain)
    addresses["docs"] = f"{stack.api_url}/docs"
    addresses["data"] = str(stack.data_dir)
    addresses["logs"] = str(stack.data_dir / "log")
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
        f"  {opsc} sim --trackers 10 --seconds 30 --verify{data}\n"
    )


def _command() -> str:
    """Return how this program was called, where its name alone would not find it."""
    return "opsc" if shutil.which("opsc") == sys.argv[0] else shlex.quote(sys.argv[0])


def _data_option(data_dir: Path) -> str:
    is_usual = data_dir == DEFAULT_DATA_DIR.resolve()
    return "" if is_usual else f" --data {shlex.quote(str(data_dir))}"
