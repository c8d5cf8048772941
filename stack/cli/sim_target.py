"""The system that `opsc sim` sends to, and what is left of a run there.

Against ``opsc up`` on this machine each run makes an organization of its own. Elsewhere
OPSC_API_URL, OPSC_API_KEY (a bearer token) and OPSC_BROKER_URL say where and as whom. What a run
makes is taken away when the block ends, however it ends, unless it is to be kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import typer

from mqtt import BrokerAddress
from stack.cli.options import say
from stack.cli.organizations.delete import delete
from stack.cli.organizations.org import create_with_admin
from stack.scenario.api_client import ApiClient
from stack.scenario.cleanup import NotingClient, clean_up
from stack.scenario.registration import Shortcut
from stack.servers.runtime import read_stack
from stack.servers.settings import use_todays_names
from stack.servers.tls import pinned
from stack.sim.run import Hooks, Target
from telemetry.ids import parse_id

EMAIL = "admin@sim.example"


@dataclass(frozen=True, slots=True)
class Where:
    """The system to send to: that of a data folder, or the one at a URL. keep: what a run makes
    stays.
    """

    data_dir: Path
    api_url: str | None
    hooks: Hooks
    keep: bool


@asynccontextmanager
async def target_of(where: Where) -> AsyncIterator[Target]:
    """Provide the system, ready for one run."""
    if where.api_url:
        async with _elsewhere(where, where.api_url) as target:
            yield target
    else:
        async with _at_home(where) as target:
            yield target


@asynccontextmanager
async def _elsewhere(where: Where, api_url: str) -> AsyncIterator[Target]:
    use_todays_names(say)
    token, broker_url = _from_environment("OPSC_API_KEY"), _from_environment("OPSC_BROKER_URL")
    is_reachable = where.hooks.url is not None or _is_loopback(api_url)
    hooks = replace(where.hooks, is_reachable=is_reachable)
    async with NotingClient(api_url, token) as client:
        try:
            yield Target(
                client,
                _broker(broker_url, os.environ.get("OPSC_BROKER_TLS_CA")),
                is_shared=True,
                hooks=hooks,
            )
        finally:
            if not where.keep:
                _tell(await clean_up(client))


@asynccontextmanager
async def _at_home(where: Where) -> AsyncIterator[Target]:
    system = read_stack(where.data_dir)
    name = f"Simulated run {time.strftime('%Y-%m-%d %H:%M:%S')}"
    admin = await create_with_admin(system.database["opsc_owner"], name, EMAIL, "unlimited")
    say(f"organization {admin.organization_id}, {admin.email}, password {admin.password}")
    org_id, owner_url = parse_id("org", admin.organization_id), system.database["opsc_owner"]
    shortcut = Shortcut(system.database["opsc_app"], org_id)
    try:
        async with ApiClient(system.api_url, tls=pinned(system.certificate)) as client:
            await client.sign_in(*admin)
            yield Target(
                client, _broker(system.broker_url, system.certificate), shortcut, hooks=where.hooks
            )
    finally:
        if not where.keep:
            say("deleting the organization of this run; use --keep to keep it")
            await delete(owner_url, org_id, say)


def _tell(troubles: list[str]) -> None:
    if troubles:
        say(f"{len(troubles):,} objects of the run could not be deleted: {troubles[0]}")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise typer.BadParameter(f"a system elsewhere needs {name}")
    return value


def _broker(url: str, ca: str | None) -> BrokerAddress:
    ca_file = Path(ca) if ca and url.startswith("mqtts:") else None
    try:
        return BrokerAddress.parse(url, ca_file=ca_file)
    except ValueError as error:
        raise typer.BadParameter(f"{url!r}: {error}", param_hint="OPSC_BROKER_URL") from None
