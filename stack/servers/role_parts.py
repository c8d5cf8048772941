"""The roles as parts of a system: the variables, rights and addresses that each one gets."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ingest.sources.link_address import MAX_PATH_BYTES
from stack.host.os_user import Capability, can_write, hand_over_files, reachable_home, role_user
from stack.host.process import Command
from stack.servers.listening import LISTEN_HTTP_PORT, listening
from stack.servers.postgres import LOOPBACK, make_home
from stack.servers.runtime import PartInfo
from stack.servers.stack import Stack
from stack.servers.supervisor import Part, answers_ready
from stack.servers.tls import pinned

API_PORT = 8000
INGEST_HTTP_PORT = 9101
DELIVER_HTTP_PORT = 9102
API_HTTP_PORT = 9103
API_HTTP_PORT_OF_SEVERAL = 9113  # and the next ones: 9104 is the listener's
FIRST_FREE_PORT = 1024  # those below are for root
FILES_OF_ROLES = (
    "OPSC_BROKER_TLS_CA", "OPSC_BROKER_TLS_CERT", "OPSC_BROKER_TLS_KEY", "OPSC_LISTEN_CLIENT_CA",
    "OPSC_LINK_TLS_CA", "OPSC_LINK_TLS_CERT", "OPSC_LINK_TLS_KEY", "OPSC_LOG_TLS_CA",
)  # fmt: skip
PORTS_OF_LISTENER = ("OPSC_LISTEN_HTTP", "OPSC_LISTEN_TLS_PORT", "OPSC_LISTEN_TLS12_PORT")
LONGEST_SOCKET = "ingest-standby.sock"
ROLE_STOP_S = 20.0


class Role(NamedTuple):
    """One of our own processes."""

    name: str
    module: str
    login: str  # its role in the database


LISTEN = Role("listener", "listener", "opsc_listen")
INGEST = Role("ingest", "ingest", "opsc_ingest")
DELIVER = Role("deliver", "webhooks", "opsc_deliver")
API = Role("api", "api", "opsc_app")


async def start_roles(stack: Stack) -> None:
    """Start the roles side by side. Each waits by itself for what it needs."""
    stack.role_user = role_user(
        reachable_home(stack.data_dir) / "postgres", _files_of_roles(stack), stack.say
    )
    stack.link_folder = _link_folder(stack)
    listener = _listener_part(stack)
    ingest = [ingest_part(stack)] if stack.variation.has_ingest else []
    deliver = _page(stack, "deliver", "OPSC_DELIVER_HTTP", DELIVER_HTTP_PORT)
    _, api_port = stack.ports.address("api", "OPSC_API_PORT", API_PORT)
    api = f"{LOOPBACK}:{api_port}"
    stack.api_url = f"{'http' if stack.certificate is None else 'https'}://{api}"
    stack.parts["deliver"] = PartInfo(deliver, metrics_url=f"http://{deliver}/metrics")
    is_single = os.environ.get("OPSC_API_PROCESSES", "1") == "1"
    usual_port = API_HTTP_PORT if is_single else API_HTTP_PORT_OF_SEVERAL
    api_http = _page(stack, "api-metrics", "OPSC_API_HTTP", usual_port)
    stack.parts["api"] = PartInfo(api, metrics_url=f"http://{api_http}/metrics")
    public = {"OPSC_PUBLIC_URL": os.environ.get("OPSC_PUBLIC_URL") or stack.api_url}
    stack.mail_folder = _mail_folder(stack)
    mail = {"OPSC_MAIL_FOLDER": str(stack.mail_folder)}
    at_home = {"OPSC_WEBHOOK_ALLOW_LOOPBACK": "true"}
    api_variables = {"OPSC_API_HOST": LOOPBACK, "OPSC_API_PORT": str(api_port), **public, **at_home}
    api_variables["OPSC_API_HTTP"] = api_http
    api_variables |= certificate_variables(stack)
    await stack.supervisor.start(
        *ingest,
        _role(stack, DELIVER, {"OPSC_DELIVER_HTTP": deliver, **public, **mail, **at_home}),
        _role(stack, API, api_variables),
        listener,  # the last to start is the first to end: ingest stores what it has received
    )


def _files_of_roles(stack: Stack) -> list[Path]:
    files: list[Path] = []
    if stack.certificate is not None:
        files += [stack.certificate.chain, stack.certificate.key]
    named = (os.environ.get(name) for name in FILES_OF_ROLES)
    return [*files, *(Path(name) for name in named if name)]


def _mail_folder(stack: Stack) -> Path:
    """Prepare the folder of letters, which belongs to who runs the roles; a given folder is left as
    it is.
    """
    if given := os.environ.get("OPSC_MAIL_FOLDER"):
        identity = stack.role_user.identity
        if identity is not None and not can_write(Path(given), identity):
            stack.say(f"OPSC_MAIL_FOLDER: the user {identity.name} cannot write {given}")
        return Path(given)
    folder = reachable_home(stack.data_dir) / "mail"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    hand_over_files(folder, stack.role_user.identity)
    return folder


def certificate_variables(stack: Stack) -> Mapping[str, str]:
    if stack.certificate is None:
        return {}
    chain, key = stack.certificate.chain, stack.certificate.key
    return {"OPSC_TLS_CERT": str(chain), "OPSC_TLS_KEY": str(key)}


def _link_folder(stack: Stack) -> Path:
    """Return the folder of the link's sockets, of the roles' user alone; elsewhere, and until the
    system ends, where the data folder's path is too long for a socket.
    """
    folder = reachable_home(stack.data_dir) / "link"
    if len(os.fsencode(folder / LONGEST_SOCKET)) > MAX_PATH_BYTES:
        folder = Path(tempfile.mkdtemp(prefix="opsc-link-", dir="/tmp"))
        stack.ends_with_it.callback(shutil.rmtree, folder, ignore_errors=True)
    make_home(folder, stack.role_user.identity)
    return folder


def _listener_part(stack: Stack) -> Part:
    where = listening(stack.ports, stack.certificate)
    stack.broker_url, stack.broker_tls_url = where.url, where.tls_url
    stack.ingest_url = where.ingest_url
    if where.is_plain_for_all:
        stack.say(
            f"devices on the network may connect without TLS to port {where.port};"
            " OPSC_LISTEN_PORT=0 leaves only the port with TLS"
        )
    page = _page(stack, "listener-metrics", "OPSC_LISTEN_HTTP", LISTEN_HTTP_PORT)
    stack.parts["listener"] = PartInfo(where.address, metrics_url=f"http://{page}/metrics")
    own = {"OPSC_LISTEN_HTTP": page, **where.variables(), **certificate_variables(stack)}
    return _role(stack, LISTEN, {**own, **stack.variation.listener})


def ingest_part(
    stack: Stack, role: Role = INGEST, variables: Mapping[str, str] | None = None
) -> Part:
    """Return an ingest process of a system whose servers run. `variables` win over those it would
    have.
    """
    address = _page(stack, role.name, "OPSC_INGEST_HTTP", INGEST_HTTP_PORT)
    stack.parts[role.name] = PartInfo(address, metrics_url=f"http://{address}/metrics")
    link = f"unix:{stack.link_folder / role.name}.sock"
    own = {"OPSC_INGEST_HTTP": address, "OPSC_INGEST_LINK": link}
    return _role(stack, role, own | dict(variables or {}))


def _page(stack: Stack, part: str, variable: str, usual_port: int) -> str:
    """Return the address of a role's page of health and metrics."""
    host, port = stack.ports.address(part, variable, usual_port)
    return f"{host}:{port}"


def _role(stack: Stack, role: Role, variables: Mapping[str, str]) -> Part:
    command = Command(
        name=role.name,
        # -P: packages are not looked for in the folder that the user happens to stand in.
        argv=[sys.executable, "-P", "-m", role.module],
        environment={
            "OPSC_DATABASE_URL": stack.database[role.login],
            "OPSC_SECRET_KEY": stack.secrets.secret_key,
            "PYTHONUNBUFFERED": "1",
            **variables,
        },
        log=stack.log(role.name),
        identity=stack.role_user.identity,
        has_no_rights=stack.role_user.identity is not None,
        rights=_rights(stack, role, variables),
        stop_signals=[(signal.SIGTERM, ROLE_STOP_S)],
        death_signal=signal.SIGKILL,
    )
    base = stack.api_url if role is API else _page_of(stack, role)
    tls = None if stack.certificate is None else pinned(str(stack.certificate.chain))
    return Part(command, answers_ready(f"{base}/readyz", tls))


def _page_of(stack: Stack, role: Role) -> str:
    return (stack.parts[role.name].metrics_url or "").removesuffix("/metrics")


def _rights(stack: Stack, role: Role, variables: Mapping[str, str]) -> list[Capability]:
    """Return the capabilities that a role without rights needs all the same."""
    rights = [Capability.DAC_READ_SEARCH] if stack.role_user.reads_everything else []
    addresses = [stack.parts[role.name].address, variables.get("OPSC_API_HTTP")]
    if role is LISTEN:
        addresses += [variables.get(name, os.environ.get(name)) for name in PORTS_OF_LISTENER]
    if any(int(text.rpartition(":")[2]) < FIRST_FREE_PORT for text in addresses if text):
        rights.append(Capability.NET_BIND_SERVICE)
    return rights
