"""mosquitto as an unprivileged child that lets in only whom it knows.

Trackers sign in with their id and their secret and reach their own topics alone; services (ingest,
a monitor) have rights of their own. `passwords` is kept by ingest (`ingest.broker_files`) and read
by a plugin of ours (`broker_plugin.c`); what is written here at each start are the services' lines,
so that ingest can sign in, the rights, and the plugin, compiled.

- The plain listener is on loopback. With `Tls` there is a second one that speaks TLS 1.3 and
  nothing older.
- A client is known by its user name, whatever client id it says: nobody takes over the session of
  another, ingest's above all.
- Without `services` everybody may do everything: for measurements and for tests of the protocol.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from db.broker_identities import broker_hash
from ingest.broker_files import (
    PASSWORDS,
    SERVICE_PASSWORDS,
    password_lines,
    tracker_lines,
)
from stack.errors import StackError
from stack.identity import hand_over, service_identity
from stack.process import Command, Process
from stack.provision import Programs
from stack.servers import LOOPBACK, make_home, started, write_private

INGEST_USER = "opsc-ingest"
WATCH_USER = "opsc-ingest-watch"  # ingest, which looks at how the broker is
MONITOR_USER = "opsc-monitor"
SERVICES = (INGEST_USER, WATCH_USER, MONITOR_USER)
# Payload that waits in the broker while ingest is away. Beyond it the broker drops and counts. A
# small message takes four times its payload of memory, so that a full queue takes a quarter of it.
QUEUE_LIMIT_BYTES = 1024 * 1024 * 1024
_QUEUE_PART_OF_MEMORY = 16
MESSAGE_LIMIT_BYTES = 2 * 1024 * 1024

ACCESS = f"""\
user {INGEST_USER}
topic read trackers/+/fixes
topic read trackers/+/packed
topic read trackers/+/punches
topic read owntracks/#
topic read gateways/#
topic write trackers/+/ack

user {WATCH_USER}
topic read $SYS/broker/#

user {MONITOR_USER}
topic read $SYS/#

# Everybody else: a tracker, %u being its id.
pattern write trackers/%u/fixes
pattern write trackers/%u/packed
pattern write trackers/%u/punches
pattern read trackers/%u/ack
"""
PLUGIN = "opsc_identities.so"
# From <elf.h>: offsets of e_phoff and e_phentsize in the header of the file, and segment values.
ELF_64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
ELF_HEADERS_OFFSET_AT = 32
ELF_HEADER_SIZE_AND_COUNT_AT = 54
PT_GNU_STACK, PF_W, PF_R = 0x6474E551, 2, 4
_PLUGIN_SOURCE = Path(__file__).with_name("broker_plugin.c")
_LOG_TYPES = ("error", "warning", "notice", "information", "subscribe")


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """The listener for the world. client_ca: clients must then have a certificate of it, beside
    their password."""

    certificate: Path
    key: Path
    port: int
    host: str = LOOPBACK
    client_ca: Path | None = None


class Mosquitto:
    """One MQTT broker below ``home``; keeps its sessions and queues over an orderly restart.

    services: the secret of each service, random ones; `settings` win over ours.
    """

    name = "broker"

    def __init__(
        self,
        programs: Programs,
        home: Path,
        port: int,
        log: Path,
        settings: Mapping[str, str] | None = None,
        *,
        services: Mapping[str, str] | None = None,
        tls: BrokerTls | None = None,
    ) -> None:
        self.port, self.home, self.log = port, home, log
        self._programs = programs
        self._identity = service_identity(owner_of=home)
        self._settings = settings or {}
        self._services, self._tls = services, tls

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        return f"mqtt://{self.address}"

    @property
    def tls_url(self) -> str | None:
        return None if self._tls is None else f"mqtts://{self._tls.host}:{self._tls.port}"

    def prepare(self) -> None:
        """Make the folder if need be, and write what the broker reads when it starts."""
        make_home(self.home, self._identity)
        if self._services is not None:
            self._write_access(self._services)
            self._compile_plugin()
        settings = {
            "listener": f"{self.port} {LOOPBACK}",
            **self._sign_in_settings(),
            "persistence": "true",
            "persistence_location": f"{self.home}/",
            "autosave_interval": "60",
            # By default the broker drops in silence beyond 1,000 messages a client.
            "max_queued_messages": "0",
            "max_queued_bytes": str(_queue_limit_bytes()),
            "max_inflight_messages": "65534",
            "max_packet_size": str(MESSAGE_LIMIT_BYTES),
            "set_tcp_nodelay": "true",
            "sys_interval": "5",
            "log_dest": "stderr",
            "log_timestamp_format": "%Y-%m-%dT%H:%M:%S",
            **self._settings,
        }
        lines = [f"{key} {value}" for key, value in settings.items()]
        lines += [f"log_type {kind}" for kind in _LOG_TYPES]
        lines += self._tls_listener()
        self._write("mosquitto.conf", "".join(f"{line}\n" for line in lines))

    def command(self) -> Command:
        return Command(
            name=self.name,
            argv=[str(self._programs.mosquitto), "-c", str(self.home / "mosquitto.conf")],
            environment=self._programs.mosquitto_environment,
            log=self.log,
            identity=self._identity,
            cwd=self.home,
            stop_signals=[(signal.SIGTERM, 20.0)],
            death_signal=signal.SIGTERM,
        )

    def is_ready(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=2).close()
        except OSError:
            return False
        return True

    def start(self) -> Process:
        self.prepare()
        return started(self.command(), self.is_ready)

    def _sign_in_settings(self) -> Mapping[str, str]:
        if self._services is None:
            return {"allow_anonymous": "true", "connection_messages": "false"}
        return {
            "allow_anonymous": "false",
            "use_username_as_clientid": "true",
            "plugin": str(self.home / PLUGIN),
            "plugin_opt_passwords": str(self.home / PASSWORDS),
            "acl_file": str(self.home / "access.acl"),
            # Refused sign-ins are told among them.
            "connection_messages": "true",
        }

    def _tls_listener(self) -> Sequence[str]:
        """A copy of the certificate, since the broker's user need not be able to read the given."""
        if self._tls is None:
            return ()
        self._write("tls.crt", self._tls.certificate.read_text())
        self._write("tls.key", self._tls.key.read_text())
        lines = [
            f"listener {self._tls.port} {self._tls.host}",
            "use_username_as_clientid true",
            "tls_version tlsv1.3",
            f"certfile {self.home / 'tls.crt'}",
            f"keyfile {self.home / 'tls.key'}",
        ]
        if self._tls.client_ca is not None:
            self._write("client-ca.crt", self._tls.client_ca.read_text())
            lines += [f"cafile {self.home / 'client-ca.crt'}", "require_certificate true"]
        return lines

    def _write_access(self, services: Mapping[str, str]) -> None:
        lines = [f"{user}:{broker_hash(secret)}\n" for user, secret in services.items()]
        passwords = self.home / PASSWORDS
        known = passwords.read_text("utf-8", "replace") if passwords.exists() else ""
        self._write("access.acl", ACCESS)
        self._write(SERVICE_PASSWORDS, "".join(lines))
        self._write(PASSWORDS, password_lines("".join(lines), tracker_lines(known)))

    def _compile_plugin(self) -> None:
        """Beside, then renamed: a mosquitto that runs may have the one before open."""
        partial = self.home / f"{PLUGIN}.new"
        command = [self._programs.compiler, "-shared", "-nostdlib", "-o", partial, _PLUGIN_SOURCE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"cannot compile {_PLUGIN_SOURCE}: {done.stderr.strip()}")
        partial.write_bytes(with_stack_header(partial.read_bytes()))
        partial.chmod(0o600)
        hand_over(partial, self._identity)
        partial.rename(self.home / PLUGIN)

    def _write(self, name: str, text: str) -> None:
        write_private(self.home / name, text, self._identity)


def with_stack_header(shared_object: bytes) -> bytes:
    """Add the program header that says that no executable stack is needed (PT_GNU_STACK).

    tcc writes none, and without one libc assumes the opposite; glibc 2.41 as Debian has it since
    2.41-12+deb13u5 then refuses to load the object. The table of program headers moves to the end
    of the file, with one row more (System V ABI, ELF-64 in little-endian order).
    """
    if shared_object[:6] != ELF_64_LITTLE_ENDIAN:
        raise StackError("tcc wrote no 64-bit little-endian ELF file")
    (offset,) = struct.unpack_from("<Q", shared_object, ELF_HEADERS_OFFSET_AT)
    size, count = struct.unpack_from("<HH", shared_object, ELF_HEADER_SIZE_AND_COUNT_AT)
    headers = shared_object[offset : offset + size * count]
    padded = bytearray(shared_object + bytes(-len(shared_object) % 8))
    struct.pack_into("<Q", padded, ELF_HEADERS_OFFSET_AT, len(padded))
    struct.pack_into("<HH", padded, ELF_HEADER_SIZE_AND_COUNT_AT, size, count + 1)
    stack_header = struct.pack("<IIQQQQQQ", PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16)
    return bytes(padded) + headers + stack_header


def _queue_limit_bytes() -> int:
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(QUEUE_LIMIT_BYTES, memory_bytes // _QUEUE_PART_OF_MEMORY)
