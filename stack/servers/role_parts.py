"""The roles as parts of a system: the variables, rights and addresses that each one gets."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ingest.sources.link_address import MAX_PATH_BYTES
from stack.host.os_user import Capability, can_write, hand_over_files, reachable_home, role_user
from stack.host.process import Command
from stack.servers.cluster.nginx import Door
from stack.servers.cluster.start import nginx_part
from stack.servers.listening import LISTEN_HTTP_PORT, Listening, listening
from stack.servers.postgres import LOOPBACK, free_port, make_home
from stack.servers.runtime import PartInfo
from stack.servers.stack import Stack
from stack.servers.supervisor import Part, answers_ready
from stack.servers.tls import pinned

API_PORT = 8000
INGEST_HTTP_PORT = 9101
DELIVER_HTTP_PORT = 9102
API_HTTP_PORT = 9103
API_HTTP_PORT_OF_SEVERAL = 9113  # and the next ones: 9104 is the listener's
ANY_PORT = 0
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


class Doors(NamedTuple):
    """Where devices and programs connect. api: host and port."""

    devices: Listening
    api: str


async def start_roles(stack: Stack) -> None:
    """Start the roles side by side. Each waits by itself for what it needs."""
    stack.role_user = role_user(
        reachable_home(stack.data_dir) / "postgres", _files_of_roles(stack), stack.say
    )
    stack.link_folder = _link_folder(stack)
    doors = _doors(stack)
    stack.mail_folder = _mail_folder(stack)
    all_doors = [doors]
    if stack.copies > 1:
        all_doors = [_behind(doors) for _ in range(stack.copies)]
        await stack.supervisor.start(nginx_part(stack, _of_nginx(stack, doors, all_doors)))
    listeners = [
        _listener_part(stack, _copy(stack, LISTEN, number), one.devices)
        for number, one in enumerate(all_doors, 1)
    ]
    numbers = range(1, stack.copies + 1)
    has_ingest = stack.variation.has_ingest
    ingests = [ingest_part(stack, _copy(stack, INGEST, n)) for n in numbers if has_ingest]
    delivers = [_deliver_part(stack, _copy(stack, DELIVER, number)) for number in numbers]
    apis = [
        _api_part(stack, _copy(stack, API, number), one.api)
        for number, one in enumerate(all_doors, 1)
    ]
    # The last to start are the first to end: ingest stores what listeners have received.
    await stack.supervisor.start(*ingests, *delivers, *apis, *listeners)


def _copy(stack: Stack, role: Role, number: int) -> Role:
    return role if stack.copies == 1 else role._replace(name=f"{role.name}-{number}")


def _doors(stack: Stack) -> Doors:
    """Choose the addresses that users see."""
    devices = listening(stack.ports, stack.certificate)
    stack.broker_url, stack.broker_tls_url = devices.url, devices.tls_url
    stack.ingest_url = devices.ingest_url
    if devices.is_plain_for_all:
        stack.say(
            f"devices on the network may connect without TLS to port {devices.port};"
            " OPSC_LISTEN_PORT=0 leaves only the port with TLS"
        )
    _, api_port = stack.ports.address("api", "OPSC_API_PORT", API_PORT)
    api = f"{LOOPBACK}:{api_port}"
    stack.api_url = f"{_scheme(stack)}://{api}"
    return Doors(devices, api)


def _behind(doors: Doors) -> Doors:
    """Return the same on free ports, for processes behind nginx."""
    devices = doors.devices
    return Doors(
        Listening(
            LOOPBACK,
            None if devices.port is None else free_port(ANY_PORT),
            None if devices.tls_port is None else free_port(ANY_PORT),
            None if devices.ingest is None else _free_address(),
        ),
        _free_address(),
    )


def _of_nginx(stack: Stack, doors: Doors, behind: Sequence[Doors]) -> list[Door]:
    """Return the doors of nginx, that of devices first."""
    host = doors.devices.local_host
    found: list[Door] = []
    if doors.devices.port is not None:
        ports = [f"{LOOPBACK}:{one.devices.port}" for one in behind]
        found.append(Door("listeners", f"{host}:{doors.devices.port}", ports))
    if doors.devices.tls_port is not None:
        ports = [f"{LOOPBACK}:{one.devices.tls_port}" for one in behind]
        found.append(Door("listeners_tls", f"{host}:{doors.devices.tls_port}", ports))
    if doors.devices.ingest is not None:
        addresses = [str(one.devices.ingest) for one in behind]
        found.append(Door("devices", doors.devices.ingest, addresses, is_http=True))
    apis = [one.api for one in behind]
    found.append(Door("api", doors.api, apis, is_http=True, certificate=stack.certificate))
    return found


def _free_address() -> str:
    return f"{LOOPBACK}:{free_port(ANY_PORT)}"


def _scheme(stack: Stack) -> str:
    return "http" if stack.certificate is None else "https"


def _public(stack: Stack) -> Mapping[str, str]:
    """Return variables of those who write addresses of ours, and post to addresses of others."""
    url = os.environ.get("OPSC_PUBLIC_URL") or stack.api_url
    return {"OPSC_PUBLIC_URL": url, "OPSC_WEBHOOK_ALLOW_LOOPBACK": "true"}


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


def _listener_part(stack: Stack, role: Role, where: Listening) -> Part:
    page = _page(stack, "listener-metrics", "OPSC_LISTEN_HTTP", LISTEN_HTTP_PORT)
    stack.parts[role.name] = PartInfo(where.address, metrics_url=f"http://{page}/metrics")
    own = {"OPSC_LISTEN_HTTP": page, **where.variables(), **certificate_variables(stack)}
    if stack.copies > 1:
        own["OPSC_LISTEN_PROXY_NETWORKS"] = f"{LOOPBACK}/32"  # nginx
    return _role(stack, role, {**own, **_log(stack), **stack.variation.listener})


def ingest_part(
    stack: Stack, role: Role = INGEST, variables: Mapping[str, str] | None = None
) -> Part:
    """Return an ingest process of a system whose servers run. `variables` win over those it would
    have.
    """
    address = _page(stack, role.name, "OPSC_INGEST_HTTP", INGEST_HTTP_PORT)
    stack.parts[role.name] = PartInfo(address, metrics_url=f"http://{address}/metrics")
    link = {"OPSC_INGEST_LINK": f"unix:{stack.link_folder / role.name}.sock"}
    own = {"OPSC_INGEST_HTTP": address, **(_log(stack) or link)}
    return _role(stack, role, own | dict(variables or {}))


def _deliver_part(stack: Stack, role: Role) -> Part:
    page = _page(stack, role.name, "OPSC_DELIVER_HTTP", DELIVER_HTTP_PORT)
    stack.parts[role.name] = PartInfo(page, metrics_url=f"http://{page}/metrics")
    mail = {"OPSC_MAIL_FOLDER": str(stack.mail_folder)}
    return _role(stack, role, {"OPSC_DELIVER_HTTP": page, **_public(stack), **mail})


def _api_part(stack: Stack, role: Role, address: str) -> Part:
    is_single = os.environ.get("OPSC_API_PROCESSES", "1") == "1"
    usual_port = API_HTTP_PORT if is_single else API_HTTP_PORT_OF_SEVERAL
    page = _page(stack, "api-metrics", "OPSC_API_HTTP", usual_port)
    stack.parts[role.name] = PartInfo(address, metrics_url=f"http://{page}/metrics")
    host, _, port = address.rpartition(":")
    own = {"OPSC_API_HOST": host, "OPSC_API_PORT": port, "OPSC_API_HTTP": page}
    return _role(stack, role, {**own, **_public(stack), **certificate_variables(stack)})


def _log(stack: Stack) -> Mapping[str, str]:
    return {} if stack.log_url is None else {"OPSC_LOG_URL": stack.log_url}


def _page(stack: Stack, part: str, variable: str, usual_port: int) -> str:
    """Return the address of a role's page of health and metrics; of several, any free one."""
    if stack.copies > 1:
        return _free_address()
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
    is_api = role.module == API.module
    address = stack.parts[role.name].address
    base = f"{_scheme(stack)}://{address}" if is_api else _page_of(stack, role)
    tls = None if stack.certificate is None else pinned(str(stack.certificate.chain))
    # Of several, all ingest processes but the leader stand by, and say that they are not ready.
    stands_by = stack.copies > 1 and role.module == INGEST.module
    return Part(command, answers_ready(f"{base}/{'healthz' if stands_by else 'readyz'}", tls))


def _page_of(stack: Stack, role: Role) -> str:
    return (stack.parts[role.name].metrics_url or "").removesuffix("/metrics")


def _rights(stack: Stack, role: Role, variables: Mapping[str, str]) -> list[Capability]:
    """Return the capabilities that a role without rights needs all the same."""
    rights = [Capability.DAC_READ_SEARCH] if stack.role_user.reads_everything else []
    addresses = [stack.parts[role.name].address, variables.get("OPSC_API_HTTP")]
    if role.module == LISTEN.module:
        addresses += [variables.get(name, os.environ.get(name)) for name in PORTS_OF_LISTENER]
    if any(int(text.rpartition(":")[2]) < FIRST_FREE_PORT for text in addresses if text):
        rights.append(Capability.NET_BIND_SERVICE)
    return rights
