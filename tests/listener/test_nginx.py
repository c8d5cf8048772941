"""Debian's nginx before several listeners, with the files of deploy/: trackers come through it with
their own address, and a listener that is gone is passed over.
"""

import asyncio
import re
import signal
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.host.process import Command, Process, wait_until
from stack.servers.cluster.nginx import nginx_program
from stack.servers.postgres import free_port
from tests.audit.certificates import NAME, write_certificates
from tests.ingest.tenants import Tenant
from tests.listener.registering import registered
from tests.listener.running import running
from tests.listener.wire import Wire, connect
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.waiting import PATIENCE_S, until

DEPLOY = Path(__file__).parents[2] / "deploy"
START_S = 30.0
AWAY = 1
"""A port at which nobody listens."""


@contextmanager
def nginx_before(folder: Path, listener: int, http_door: int) -> Iterator[tuple[int, int]]:
    """Run nginx with both files in its folder; provide its ports for trackers and for HTTPS.

    Of each upstream the first listener is away.
    """
    nginx = nginx_program()
    root = nginx.program.parents[2]
    trackers, https = free_port(ANY_PORT), free_port(ANY_PORT)
    text = (DEPLOY / "cluster" / "nginx.conf").read_text()
    temporary = " ".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for old, new in (
        ("user www-data;", ""),
        ("/run/nginx.pid", f"{folder}/pid"),
        ("/var/log/nginx/", f"{folder}/"),
        ("include /etc/nginx/modules-enabled/*.conf", f"load_module {nginx.stream}"),
        ("/etc/nginx/mime.types", f"{root}/etc/nginx/mime.types"),
        ("/etc/nginx/sites-enabled/*.conf;", f"{folder}/site.conf; {temporary}"),
        ("10.0.0.1:8883", f"127.0.0.1:{AWAY}"),
        ("10.0.0.2:8883", f"127.0.0.1:{listener}"),
        ("listen 8883", f"listen 127.0.0.1:{trackers}"),
        ("worker_rlimit_nofile 65536;", ""),
        ("worker_connections 32768", "worker_connections 100"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    text = re.sub(r".*(server 10\.0\.0\.3|listen \[::\]).*\n", "", text)
    site = (DEPLOY / "nginx" / "ops-companion.conf").read_text()
    for old, new in (
        ("server 127.0.0.1:5055;", f"server 127.0.0.1:{AWAY}; server 127.0.0.1:{http_door};"),
        ("listen 443", f"listen 127.0.0.1:{https}"),
        ("listen 80", f"listen 127.0.0.1:{free_port(ANY_PORT)}"),
        ("/etc/ops-companion/tls/chain.pem", f"{folder}/server.pem"),
        ("/etc/ops-companion/tls/key.pem", f"{folder}/server.key"),
        ("/var/log/nginx/", f"{folder}/"),
    ):
        assert old in site, old
        site = site.replace(old, new)
    site = re.sub(r".*listen \[::\].*\n", "", site)
    (folder / "nginx.conf").write_text(text)
    (folder / "site.conf").write_text(site)
    options = ("-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log")
    command = Command(
        name="nginx",
        argv=[str(nginx.program), *map(str, options), "-g", "daemon off;"],
        log=folder / "nginx.log",
        stop_signals=[(signal.SIGTERM, 5.0)],
        death_signal=signal.SIGTERM,
        environment=nginx.environment,
    )
    process = Process(command)
    try:
        wait_until(process, (folder / "pid").exists, START_S)
        yield trackers, https
    finally:
        process.stop()


async def test_trackers_come_with_their_own_address_whichever_listener_is_gone(
    database: DatabaseUnderTest, tenant: Tenant, readable_folder: Path
) -> None:
    authority, chain, key = write_certificates(readable_folder)
    port = free_port(ANY_PORT)
    settings = {
        "OPSC_LISTEN_TLS_PORT": str(port),
        "OPSC_LISTEN_PROXY_NETWORKS": "127.0.0.1/32",
        "OPSC_TLS_CERT": str(chain),
        "OPSC_TLS_KEY": str(key),
    }
    tls = ssl.create_default_context(cafile=authority)
    tls.check_hostname = False
    vehicles = [await registered(tenant) for _ in range(4)]
    with running(database, settings) as system:
        door = urllib.parse.urlsplit(system.ingest_url).port or 0
        with nginx_before(readable_folder, port, door) as (trackers, https):
            for number, vehicle in enumerate(vehicles):
                with Wire(trackers, tls, source=f"127.0.0.{20 + number}") as wire:
                    wire.send(connect(vehicle.name))
                    assert wire.connack() == 0
                    seen = f"host(address) = '127.0.0.{20 + number}'"
                    known = f"SELECT FROM device_connections WHERE {seen}"
                    await until(lambda known=known: tenant.rows(known))
            url = f"https://{NAME}:{https}/v1/ingest/osmand"
            for vehicle in vehicles:
                place = f"lat=47.37&lon=8.54&timestamp={int(time.time())}"
                fix = f"{url}/{vehicle.name}.secret?{place}"
                assert await asyncio.to_thread(result_of, fix, tls) == "stored"


def result_of(url: str, tls: ssl.SSLContext) -> str | None:
    """Send a request, and return what the listener says of it."""
    with urllib.request.urlopen(url, context=tls, timeout=PATIENCE_S) as response:
        return response.headers["opsc-result"]
