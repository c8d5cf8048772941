"""RabbitMQ as unprivileged children on loopback: one node, or several that are a cluster.

The program is the system's, else a private copy of Debian's packages. None of its shell scripts is
used: they want folders of the system. epmd, by which nodes find one another, is a child of ours,
too: one for all nodes of a cluster.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from stack.host.os_user import OsUser, service_identity
from stack.host.process import Command, Process, wait_until
from stack.host.programs import Say, library_path, provided, servers_dir
from stack.servers.cluster.kept import kept
from stack.servers.postgres import LOOPBACK, make_home, write_private

PACKAGES = ("rabbitmq-server",)
START_S = 90.0
CONTROL_S = 60.0
_RABBITMQ = "usr/lib/rabbitmq/lib/rabbitmq_server-*"
_ERLANG = "usr/lib/erlang"
_CONFIGURATION = """
listeners.tcp.1 = {address}:{port}
loopback_users = none
default_user = opsc
default_pass = {password}
log.file = false
log.console = true
log.console.level = warning
cluster_partition_handling = pause_minority
quorum_queue.continuous_membership_reconciliation.enabled = true
quorum_queue.continuous_membership_reconciliation.target_group_size = 3
quorum_queue.continuous_membership_reconciliation.interval = 30000
cluster_formation.peer_discovery_backend = classic_config
"""
_TLS = """
listeners.ssl.1 = {address}:{port}
ssl_options.certfile = {home}/chain.pem
ssl_options.keyfile = {home}/key.pem
ssl_options.versions.1 = tlsv1.3
"""


class RabbitProgram(NamedTuple):
    """The folders of RabbitMQ and of Erlang's runtime, and the variables that they need."""

    rabbitmq: Path
    erlang: Path
    runtime: Path
    environment: Mapping[str, str]


def rabbit_program(folder: Path | None = None, say: Say = print) -> RabbitProgram:
    """Return RabbitMQ of the system, else a private copy, beside that of PostgreSQL."""
    return provided((folder or servers_dir()) / "rabbitmq", PACKAGES, _found, say)


def _found(roots: Sequence[Path]) -> RabbitProgram | None:
    for root in roots:
        rabbitmq = sorted(root.glob(_RABBITMQ))
        runtime = sorted((root / _ERLANG).glob("erts-*/bin"))
        if rabbitmq and runtime:
            return RabbitProgram(rabbitmq[-1], root / _ERLANG, runtime[-1], library_path(root))
    return None


class RabbitNode:
    """A node: started, killed and started again on the same port and data."""

    def __init__(self, rabbit: Rabbit, name: str) -> None:
        ports = rabbit.kept.ports
        self.name, self.port = name, ports[name]
        self.tls_port = None if rabbit.certificate is None else ports[f"{name} with TLS"]
        self.home = rabbit.home / name
        self._rabbit = rabbit
        self._dist_port = ports[f"{name} for nodes"]
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "the node was not started"
        return self._process

    def begin(self) -> None:
        """Start the node, and return at once."""
        self.prepare()
        self._process = Process(self.command())

    def prepare(self) -> None:
        """Write what the node reads."""
        identity = self._rabbit.identity
        make_home(self.home, identity)
        settings = _CONFIGURATION.format(
            address=LOOPBACK, port=self.port, password=self._rabbit.password
        )
        for number, node in enumerate(self._rabbit.nodes, start=1):
            settings += f"cluster_formation.classic_config.nodes.{number} = {node.erlang_name}\n"
        if self._rabbit.certificate is not None:
            settings += _TLS.format(address=LOOPBACK, port=self.tls_port, home=self.home)
            self.show(*self._rabbit.certificate)
        write_private(self.home / "rabbitmq.conf", settings, identity)
        write_private(self.home / "enabled_plugins", "[].", identity)
        # Names are looked up nowhere else, whatever the system's resolver says.
        names = '{host,{127,0,0,1},["localhost"]}.\n{lookup,[file,native]}.\n'
        write_private(self.home / "inetrc", names, identity)
        cookie = self.home / ".erlang.cookie"
        write_private(cookie, self._rabbit.cookie, identity)
        cookie.chmod(0o400)
        # Nodes that form a cluster run `erl`; Debian's looks for the system's Erlang.
        make_home(self.home / "bin", identity)
        erl = self.home / "bin" / "erl"
        write_private(erl, '#!/bin/sh\nexec "$BINDIR/erlexec" "$@"\n', identity)
        erl.chmod(0o700)

    def start(self) -> Process:
        """Start the node, and return once it takes connections."""
        self.begin()
        self.wait()
        return self.process

    def wait(self) -> None:
        """Wait until the node takes connections. Raises PartFailed."""
        wait_until(self.process, self.is_ready, START_S)

    def is_ready(self) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.port), timeout=2).close()
        except OSError:
            return False
        return True

    def show(self, chain: Path, key: Path) -> None:
        """Have another certificate, from its start on, or from when it forgets what it has read."""
        for name, file in (("chain.pem", chain), ("key.pem", key)):
            write_private(self.home / name, file.read_text(), self._rabbit.identity)

    def stop(self) -> None:
        if self._process is not None:
            self._process.signal(signal.SIGCONT)
            self._process.stop()

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    def control(self, *arguments: str, within_s: float = CONTROL_S) -> str:
        """Run rabbitmqctl, and return what it says. Takes a second. Raises SubprocessError."""
        program = self._rabbit.program
        environment = {
            **self._environment(),
            "ESCRIPT_EMULATOR": str(program.runtime / "erlexec"),
            "ERL_FLAGS": "-noinput -boot start_clean -start_epmd false -dist_listen false"
            f" -kernel inetrc '\"{self.home}/inetrc\"' +sbwt none",
        }
        identity = self._rabbit.identity
        done = subprocess.run(
            [
                str(program.runtime / "escript"),
                str(program.rabbitmq / "escript" / "rabbitmqctl"),
                *("-q", "-n", self.erlang_name, *arguments),
            ],
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=True,
            user=None if identity is None else identity.uid,
            group=None if identity is None else identity.gid,
        )
        return done.stdout

    def leader_of(self, queue: str, vhost: str = "/") -> str:
        """Return the name of the node that leads a quorum queue."""
        named = f'rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>)'
        found = f"{{ok, Q}} = rabbit_amqqueue:lookup({named}), {{_, N}} = amqqueue:get_pid(Q), N."
        return self.control("eval", found).strip().strip("'")

    @property
    def erlang_name(self) -> str:
        return f"{self.name}@localhost"

    def command(self) -> Command:
        program = self._rabbit.program
        # The flags of the package's own script, and no busy waiting: processors are shared.
        flags = "+W w +MBas ageffcbf +MHas ageffcbf +MBlmbcs 512 +MHlmbcs 512 +MMmcs 30"
        limits = "+P 1048576 +t 5000000 +stbt db +zdbbl 128000 +sbwt none +sbwtdcpu none"
        kernel = {
            "inet_dist_use_interface": "{127,0,0,1}",
            "inetrc": f'"{self.home}/inetrc"',
            "net_ticktime": "15",
            "prevent_overlapping_partitions": "false",
        }
        return Command(
            name=self.name,
            argv=[
                str(program.runtime / "erlexec"),
                *("-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl"),
                *flags.split(),
                *("+pc", "unicode", *limits.split(), "+sbwtdio", "none"),
                *("-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"),
                *(word for name, value in kernel.items() for word in ("-kernel", name, value)),
            ],
            environment=self._environment(),
            log=self._rabbit.log(self.name),
            identity=self._rabbit.identity,
            cwd=self.home,
            stop_signals=[(signal.SIGTERM, 20.0)],
            death_signal=signal.SIGKILL,
        )

    def _environment(self) -> Mapping[str, str]:
        program, home = self._rabbit.program, self.home
        return {
            **program.environment,
            "PATH": f"{program.runtime}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "ROOTDIR": str(program.erlang),
            "BINDIR": str(program.runtime),
            "EMU": "beam",
            "PROGNAME": f"{home}/bin/erl",
            "ERL_LIBS": str(program.rabbitmq / "plugins"),
            "ERL_MAX_ETS_TABLES": "50000",
            "ERL_MAX_PORTS": "65536",
            "ERL_CRASH_DUMP_SECONDS": "0",
            "ERL_EPMD_PORT": str(self._rabbit.epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "SYS_PREFIX": "",
            "RABBITMQ_NODENAME": self.erlang_name,
            "RABBITMQ_HOME": str(program.rabbitmq),
            "RABBITMQ_BASE": str(home),
            "RABBITMQ_MNESIA_BASE": f"{home}/data",
            "RABBITMQ_MNESIA_DIR": f"{home}/data/node",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{home}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            "RABBITMQ_PLUGINS_DIR": f"{program.rabbitmq}/plugins",
            "RABBITMQ_PLUGINS_EXPAND_DIR": f"{home}/data/plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/no-env",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{home}/data/config",
            "RABBITMQ_FEATURE_FLAGS_FILE": f"{home}/data/feature_flags",
        }


class Rabbit:
    """Nodes below `home`, a cluster where they are several, and their epmd.

    certificate: chain and key of all nodes, which have a second port for TLS then.
    """

    def __init__(
        self,
        home: Path,
        count: int = 1,
        log: Callable[[str], Path] | None = None,
        program: RabbitProgram | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.program = program or rabbit_program()
        self.home = home
        self.log = log or (lambda name: home.parent / f"{name}.log")
        self.identity: OsUser | None = service_identity(owner_of=home)
        names = [f"rabbit-{number}" for number in range(1, count + 1)]
        what = ("", " for nodes") if certificate is None else ("", " for nodes", " with TLS")
        parts = [name + suffix for name in names for suffix in what]
        self.kept = kept(home, ["user", "cookie"], ["epmd", *parts], self.identity)
        self.password, self.cookie = self.kept.passwords["user"], self.kept.passwords["cookie"]
        self.epmd_port = self.kept.ports["epmd"]
        self.certificate = certificate
        self.nodes = [RabbitNode(self, name) for name in names]
        self._epmd: Process | None = None

    def url(self, vhost: str = "", tls_host: str | None = None) -> str:
        """Return the URL at all nodes, as OPSC_LOG_URL takes it. tls_host: with TLS, by this name
        of all.
        """
        if tls_host is None:
            scheme, places = "amqp", [f"{LOOPBACK}:{node.port}" for node in self.nodes]
        else:
            scheme, places = "amqps", [f"{tls_host}:{node.tls_port}" for node in self.nodes]
        return f"{scheme}://opsc:{self.password}@{','.join(places)}/{vhost}"

    def add_vhost(self, name: str) -> None:
        """Make a part that is empty."""
        vhost, user = f'<<"{name}">>', '<<"opsc">>'
        everything = ", ".join(['<<".*">>'] * 3)
        granted = (
            f"rabbit_auth_backend_internal:set_permissions({user}, {vhost}, {everything}, {user})"
        )
        self.nodes[0].control("eval", f"rabbit_vhost:add({vhost}, {user}), {granted}.")

    def start(self) -> None:
        """Start all nodes; return once all take connections."""
        self.start_epmd()
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.wait()

    def start_epmd(self) -> None:
        self._epmd = Process(self.epmd())

    def epmd(self) -> Command:
        """Return what runs that by which the nodes find one another."""
        return Command(
            name="epmd",
            argv=[
                str(self.program.runtime / "epmd"),
                *("-address", LOOPBACK, "-port", str(self.epmd_port)),
            ],
            environment=self.program.environment,
            log=self.log("epmd"),
            identity=self.identity,
            cwd=self.home,
            stop_signals=[(signal.SIGTERM, 5.0)],
            death_signal=signal.SIGKILL,
        )

    def stop(self) -> None:
        for node in self.nodes:
            if node._process is not None:
                node.process.signal(signal.SIGCONT)
                node.process.signal(signal.SIGTERM)
        for node in self.nodes:
            with suppress(OSError):
                node.stop()
        if self._epmd is not None:
            self._epmd.stop()
