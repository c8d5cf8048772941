"""The checks of `opsc doctor` on a server: each returns findings and changes nothing.

Root sees all of it. Whoever else asks is told what could not be looked at.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509

from service.health import STANDS_BY, read_address
from service.tcp import is_loopback
from stack.installed.database_checks import database_findings
from stack.installed.installation import Installation, Unit, reached
from stack.servers.checks import (
    AS_ROOT,
    FORMER_ADVICE,
    Finding,
    clock,
    listener_page,
    memory,
    tls_versions,
    versions,
)
from stack.servers.postgres import LOOPBACK
from stack.servers.runtime import SETTINGS_FOLDER
from stack.servers.settings import unread_variables

NGINX_SITE = Path("/etc/nginx/sites-enabled/ops-companion.conf")
CERTIFICATE_ENDS_WITHIN, CERTIFICATE_ENDS_SOON = timedelta(days=7), timedelta(days=21)
CONNECT_TIMEOUT_S = 3
_ELSEWHERE = "for nginx on another machine, let nobody else into the network between"
ITSELF = "opsc-doctor"
SUBJECTS = {"opsc-backup": "backup", "opsc-base-backup": "archive"}  # of units that are not roles
_NGINX_PORT = re.compile(r"^\s*listen (?:\S*:)?(\d+) .*\bssl\b", re.MULTILINE)
_NGINX_NAME = re.compile(r"^\s*server_name ([^\s;]+)", re.MULTILINE)


class _ShownCertificate(NamedTuple):
    """A certificate, who shows it, and where. name: the host to ask for, where that matters."""

    user: str
    host: str
    port: int
    name: str | None = None


def examine_server(server: Installation) -> list[Finding]:
    """Examine everything, in the order in which it is shown."""
    pages = (
        f"{page}/metrics" for unit in server.roles if unit.role == "listen" for page in unit.pages
    )
    return [
        *versions(),
        *_units(server),
        *_settings(server),
        *_encryption(server),
        *tls_versions(filter(None, map(listener_page, pages))),
        *_certificates(server),
        *database_findings(server),
        *memory(),
        *clock(),
    ]


def _units(server: Installation) -> Iterator[Finding]:
    if not server.roles:
        advice = "docs/install.md starts them, under Roles"
        yield Finding("fault", "units", "systemd knows no unit of a role", advice)
    for unit in server.units:
        if unit.short_name == ITSELF:
            continue  # it failed because of what it found then
        if unit.trouble:
            subject = SUBJECTS.get(unit.short_name, "units")
            yield Finding("fault", subject, f"{unit.short_name} {unit.trouble}")
        elif unit.role is not None:
            yield _role(unit)


def _role(unit: Unit) -> Finding:
    if unit.unread:
        return Finding("ok", "units", f"{unit.short_name} runs")
    is_well, state = unit.health()
    text = f"{unit.short_name} says: {state}"
    if is_well:
        return Finding("ok", "units", text)
    return Finding("fault", "units", text, f"see `journalctl -u {unit.short_name}`")


def _settings(server: Installation) -> Iterator[Finding]:
    if server.unread:
        text = f"{len(server.unread)} files in {SETTINGS_FOLDER} can be read by root only"
        yield Finding("warning", "settings", text, AS_ROOT)
    lines: dict[tuple[str, str], Finding] = {}
    for unit in server.units:
        for text in unit.former.warnings:
            lines.setdefault((text, ""), Finding("warning", "settings", text, FORMER_ADVICE))
        for name, near in unread_variables(unit.settings).items():
            text = f"nothing reads {name} of {unit.short_name}"
            advice = f"did you mean {near}?" if near else "docs/settings.md has all of them"
            lines.setdefault((name, ""), Finding("warning", "settings", text, advice))
        if unit.unread or unit.missing:
            continue
        for line in unit.refused:
            text = f"{unit.short_name}: {line}"
            advice = "docs/settings.md says what it may be"
            lines.setdefault((str(unit.role), line), Finding("fault", "settings", text, advice))
    yield from lines.values()
    if not lines and not server.unread:
        count = len({name for unit in server.units for name in unit.settings})
        yield Finding("ok", "settings", f"{count} variables are set, in {SETTINGS_FOLDER}")


def _encryption(server: Installation) -> Iterator[Finding]:
    """Yield ways on which passwords and positions leave this machine in clear text."""
    ways = dict(way for unit in server.roles if not unit.unread for way in _clear_ways(unit))
    for text, advice in ways.items():
        yield Finding("warning", "encryption", text, advice)
    if not ways and not server.unread:
        yield Finding("ok", "encryption", "other machines are offered TLS alone")


def _clear_ways(unit: Unit) -> Iterator[tuple[str, str]]:
    """Yield each way in clear text that a role offers to other machines, and what to do."""
    if unit.role in ("api", "deliver"):
        url = urlsplit(unit.setting("public_url"))
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            text = f"OPSC_PUBLIC_URL is {url.geturl()}: passwords and cookies go in clear text"
            yield text, f"put nginx' https:// address into {SETTINGS_FOLDER / 'common.env'}"
    if unit.role == "api" and unit.setting("tls_cert") is None:
        host = unit.setting("api_host")
        if not is_loopback(host):
            allowed = (
                ", as OPSC_ALLOW_PLAIN_HTTP allows" if unit.setting("allow_plain_http") else ""
            )
            text = f"{unit.short_name} listens on {host} without TLS{allowed}"
            yield text, f"leave OPSC_API_HOST out and use nginx, or set OPSC_TLS_CERT; {_ELSEWHERE}"
    if unit.role == "listen" and int(unit.setting("listen_port")):
        host = unit.setting("listen_host")
        if not is_loopback(host):
            text = f"trackers may connect to {host}:{unit.setting('listen_port')} without TLS"
            yield text, "OPSC_LISTEN_PORT=0 leaves the port with TLS alone"
    if unit.role == "listen":
        door = unit.setting("listen_ingest_http")
        if door != "off" and not is_loopback(read_address(door)[0]):
            text = f"devices may send to {door} without TLS"
            yield text, f"leave OPSC_LISTEN_INGEST_HTTP out and use nginx; {_ELSEWHERE}"
    if unit.role == "ingest" and (link := unit.setting("ingest_link")):
        url = urlsplit(link)
        if url.scheme == "tcp" and not is_loopback(url.hostname or ""):
            yield f"listeners send fixes to {link} without TLS", "use tls:// in OPSC_INGEST_LINK"


def _certificates(server: Installation) -> Iterator[Finding]:
    """Yield how long the certificates are good that others are shown: by those who show them, since
    a renewed file is nothing before they have read it.
    """
    for shown in _shown_certificates(server):
        place = f"{shown.host}:{shown.port}"
        try:
            end = _end_of_certificate(shown)
        except OSError as error:
            text = f"{shown.user} shows none at {place}: {error.strerror or error}"
            yield Finding("fault", "certificate", text, f"see `journalctl -u {shown.user}`")
        else:
            yield _certificate(f"that of {shown.user} at {place}", shown.user, end)


def _shown_certificates(server: Installation) -> Iterator[_ShownCertificate]:
    if NGINX_SITE.exists():
        site = NGINX_SITE.read_text()
        port = _NGINX_PORT.search(site)
        name = _NGINX_NAME.search(site)
        if port is not None:
            yield _ShownCertificate("nginx", LOOPBACK, int(port[1]), name and name[1])
    for unit in server.roles:
        if unit.role == "api" and unit.setting("tls_cert") is not None:
            host, port = unit.setting("api_host"), int(unit.setting("api_port"))
            yield _ShownCertificate(unit.short_name, reached(host), port)
        if unit.role == "listen":
            for name in ("listen_tls_port", "listen_tls12_port"):
                if port := unit.setting(name):
                    host = reached(unit.setting("listen_host"))
                    yield _ShownCertificate(unit.short_name, host, int(port))
        if unit.role == "ingest" and (link := unit.setting("ingest_link")):
            url = urlsplit(link)
            if url.scheme == "tls" and url.port and not _stands_by(unit):
                yield _ShownCertificate(unit.short_name, reached(url.hostname or ""), url.port)


def _stands_by(ingest: Unit) -> bool:
    """Return whether another ingest is the leader: this one has nothing for listeners then."""
    return ingest.health() == (True, STANDS_BY)


def _end_of_certificate(shown: _ShownCertificate) -> datetime:
    """Return when the certificate that is shown ends; whom it is for does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = shown.host.strip("[]"), shown.port
    with (
        socket.create_connection(address, CONNECT_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=shown.name) as tls,
    ):
        certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None  # no handshake without one
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


def _certificate(which: str, user: str, end: datetime) -> Finding:
    left = end - datetime.now(UTC)
    text = f"{which} ends {end:%Y-%m-%d}, in {left.days} days"
    if left > CERTIFICATE_ENDS_SOON:
        return Finding("ok", "certificate", text)
    if left < timedelta():
        text = f"{which} ended {end:%Y-%m-%d}: nobody trusts it any more"
    level = "fault" if left < CERTIFICATE_ENDS_WITHIN else "warning"
    return Finding(level, "certificate", text, f"renew it, then restart {user}")
