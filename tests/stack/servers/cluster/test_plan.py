"""What a cluster on one machine is made of, and what is said of it; nothing is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from stack.errors import StackError
from stack.servers.cluster import etcd, nginx, patroni
from stack.servers.cluster.kept import Kept, kept, read_kept
from stack.servers.cluster.nginx import Door, Nginx
from stack.servers.cluster.start import NOT_OF_A_CLUSTER, refuse_settings
from stack.servers.cluster.states import machine_state
from stack.servers.settings import WrongSettings
from stack.servers.tls import Certificate
from tests.stack.command import opsc

LEADER = {"role": "primary", "state": "running", "timeline": 2}
STANDBY = {"role": "replica", "state": "running", "replication_state": "streaming"}
SYNCHRONOUS = {**STANDBY, "sync_standby": True}
COPYING = {"role": "replica", "state": "creating replica"}


@pytest.mark.parametrize(
    ("state", "of_all", "well", "says"),
    [
        (LEADER, [LEADER, SYNCHRONOUS, STANDBY], True, "leads"),
        (LEADER, [LEADER, STANDBY], False, "leads, but nothing is committed"),
        (SYNCHRONOUS, [LEADER, SYNCHRONOUS], True, "synchronous standby"),
        (STANDBY, [LEADER, SYNCHRONOUS], True, "standby"),
        (COPYING, [LEADER, SYNCHRONOUS], False, "replica, creating replica: does not follow yet"),
        ({}, [LEADER, SYNCHRONOUS], False, "Patroni does not answer"),
    ],
)
def test_what_is_said_of_a_machine(
    tmp_path: Path, state: dict[str, Any], of_all: list[dict[str, Any]], well: bool, says: str
) -> None:
    is_well, said = machine_state(state, of_all, tmp_path)
    assert is_well == well
    assert said.startswith(says)


def test_the_process_of_postgresql_is_said_where_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("4711\n/data\n")
    assert machine_state(STANDBY, [LEADER], tmp_path) == (
        True,
        "standby; PostgreSQL is process 4711",
    )


def test_what_is_kept_stays_the_same(tmp_path: Path) -> None:
    first = kept(tmp_path / "home", ["a"], ["one", "two"], None)
    assert kept(tmp_path / "home", ["a"], ["one", "two"], None) == first
    assert len(set(first.ports.values())) == 2
    assert (tmp_path / "home" / "kept.json").stat().st_mode & 0o077 == 0


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{")
    with pytest.raises(StackError, match="is damaged"):
        read_kept(tmp_path)


def test_a_port_that_somebody_else_has_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} .*; etcd-1 of the cluster has had it"):
            Kept({}, {"etcd-1": port}).require_ports()


def test_etcd_members_name_one_another(tmp_path: Path) -> None:
    ports = {name: 1000 + number for number, name in enumerate(etcd.port_names(3))}
    members = etcd.members(ports, 3)
    commands = etcd.commands(Path("/etcd"), tmp_path, members, lambda name: tmp_path / name, None)
    whole = ",".join(f"{one.name}=http://127.0.0.1:{one.peer_port}" for one in members)
    assert [command.name for command in commands] == ["etcd-1", "etcd-2", "etcd-3"]
    assert all(f"--initial-cluster={whole}" in command.argv for command in commands)
    assert len({one.client_port for one in members} | {one.peer_port for one in members}) == 6


def test_each_machine_has_ports_of_its_own() -> None:
    names = patroni.port_names(3)
    assert len(names) == len(set(names)) == 6


DOORS = [
    Door("listeners", "127.0.0.1:1883", ["127.0.0.1:1", "127.0.0.1:2"]),
    Door("api", "127.0.0.1:8000", ["127.0.0.1:3", "127.0.0.1:4"], is_http=True),
]


def test_nginx_has_one_process_and_asks_each_behind_it(tmp_path: Path) -> None:
    program = Nginx(Path("/nginx"), Path("/stream.so"), {})
    text = nginx.settings(program, tmp_path, DOORS)
    assert "master_process off;" in text
    tcp, http = text.split("http {")
    assert "listen 127.0.0.1:1883; proxy_pass listeners; proxy_protocol on;" in tcp
    assert "proxy_protocol" not in http
    assert "listen 127.0.0.1:8000;" in http
    for part, ports in ((tcp, (1, 2)), (http, (3, 4))):
        assert all(f"server 127.0.0.1:{port} " in part for port in ports)
    assert "proxy_pass http://api;" in http
    assert "ssl;" not in http


def test_nginx_speaks_tls_to_both_sides_where_there_is_a_certificate(tmp_path: Path) -> None:
    program = Nginx(Path("/nginx"), Path("/stream.so"), {})
    certificate = Certificate(Path("/chain"), Path("/key"))
    text = nginx.settings(program, tmp_path, [DOORS[1]._replace(certificate=certificate)])
    assert "listen 127.0.0.1:8000 ssl;" in text
    assert "ssl_certificate_key /key;" in text
    assert "proxy_pass https://api;" in text


@pytest.mark.parametrize("name", NOT_OF_A_CLUSTER)
def test_a_setting_that_a_cluster_has_no_use_for_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    refuse_settings()
    monkeypatch.setenv(name, "2")
    with pytest.raises(WrongSettings, match=f"no use for {name}: unset it"):
        refuse_settings()


@pytest.mark.parametrize(("host", "is_refused"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_cluster_is_on_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, host: str, is_refused: bool
) -> None:
    monkeypatch.setenv("OPSC_LISTEN_HOST", host)
    if is_refused:
        with pytest.raises(WrongSettings, match="OPSC_LISTEN_HOST"):
            refuse_settings()
    else:
        refuse_settings()


@pytest.mark.parametrize("count", ["0", "2", "5"])
def test_only_three_are_to_be_had(tmp_path: Path, count: str) -> None:
    done = opsc("up", "--data", tmp_path / "data", "--cluster", count)
    assert done.returncode == 2
    assert "must be 3: one of three may be lost" in done.stderr
    assert not (tmp_path / "data").exists()
