"""nginx before several listeners and APIs: where one of them is lost, another one is asked.

The settings are those of deploy/nginx, as far as a machine of one's own needs them.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stack.host.os_user import Capability, OsUser
from stack.host.process import Command
from stack.host.programs import Say, library_path, provided, servers_dir
from stack.servers.postgres import make_home, write_private
from stack.servers.tls import Certificate

PACKAGES = ("nginx", "libnginx-mod-stream")
_NGINX = "usr/sbin/nginx"
_STREAM = "usr/lib/nginx/modules/ngx_stream_module.so"
# One process: workers would outlive a master that is killed, and keep its ports.
_MAIN = """
daemon off;
master_process off;
error_log stderr warn;
pid {home}/pid;
load_module {stream};
events {{ worker_connections 20000; }}
stream {{
    proxy_connect_timeout 2s;
    proxy_timeout 24h;  # devices say how long they are silent
{tcp}}}
http {{
    access_log off;
    server_tokens off;
    client_max_body_size 26m;
    client_body_temp_path {home}/client_body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    proxy_http_version 1.1;
    proxy_connect_timeout 2s;
    proxy_send_timeout 60s;
    proxy_read_timeout 60s;
    proxy_next_upstream error timeout;
{http}}}
"""
_TCP = """    upstream {name} {{ least_conn; {servers} }}
    # Listeners hear the address of a device before its bytes.
    server {{ listen {address}; proxy_pass {name}; proxy_protocol on; }}
"""
_HTTP = """    upstream {name} {{ least_conn; {servers} keepalive 32; keepalive_timeout 3s; }}
    server {{
        listen {address}{tls};
        location / {{
            proxy_pass {scheme}://{name};
            proxy_ssl_protocols TLSv1.3;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
"""
_TLS = """ ssl;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_session_tickets off"""


class Nginx(NamedTuple):
    """The program, its module for TCP, and the variables that it needs."""

    program: Path
    stream: Path
    environment: Mapping[str, str]


class Door(NamedTuple):
    """An address, and those of the processes behind it. is_http: else bytes are handed on as they
    are, after a line of the PROXY protocol; certificate: of it and of those behind it.
    """

    name: str
    address: str
    behind: Sequence[str]
    is_http: bool = False
    certificate: Certificate | None = None


def nginx_program(folder: Path | None = None, say: Say = print) -> Nginx:
    """Return nginx of the system, else a private copy of Debian's."""
    return provided((folder or servers_dir()) / "nginx", PACKAGES, _found, say)


def _found(roots: Sequence[Path]) -> Nginx | None:
    for root in roots:
        if (root / _NGINX).exists() and (root / _STREAM).exists():
            return Nginx(root / _NGINX, root / _STREAM, library_path(root))
    return None


def settings(nginx: Nginx, home: Path, doors: Sequence[Door]) -> str:
    """Return the text of nginx.conf."""
    tcp = "".join(_TCP.format(**_words(door)) for door in doors if not door.is_http)
    http = "".join(_HTTP.format(**_words(door)) for door in doors if door.is_http)
    return _MAIN.format(home=home, stream=nginx.stream, tcp=tcp, http=http)


def _words(door: Door) -> Mapping[str, str]:
    tls = ""
    if door.certificate is not None:
        tls = _TLS.format(chain=door.certificate.chain, key=door.certificate.key)
    return {
        "name": door.name,
        "address": door.address,
        "servers": " ".join(f"server {one} fail_timeout=1s;" for one in door.behind),
        "tls": tls,
        "scheme": "https" if tls else "http",
    }


def command(
    nginx: Nginx,
    home: Path,
    doors: Sequence[Door],
    log: Path,
    user: OsUser | None,
    rights: Sequence[Capability],
) -> Command:
    """Write the settings into `home`, which is made, and return what runs it."""
    make_home(home, user)
    write_private(home / "nginx.conf", settings(nginx, home, doors), user)
    return Command(
        name="nginx",
        argv=[str(nginx.program), "-e", "stderr", "-p", f"{home}/", "-c", f"{home}/nginx.conf"],
        environment=nginx.environment,
        log=log,
        identity=user,
        has_no_rights=user is not None,
        rights=rights,
        cwd=home,
        stop_signals=[(signal.SIGTERM, 10.0)],
        death_signal=signal.SIGKILL,
    )
