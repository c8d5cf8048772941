"""What deploy/ names exists: settings, commands, files, and the values of `opsc up`."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.maintenance.server_facts import SIZES
from stack.cli.main import COMMANDS
from stack.servers.postgres import POSTGRES_SETTINGS
from stack.servers.postgres_sizes import GIB, configuration
from tests.test_documents import settings_page, variables

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
INSTALL_PAGE = (ROOT / "docs" / "install.md").read_text()
SERVICES = sorted((DEPLOY / "systemd").glob("*.service"))
# A shell only where the command has the time in it.
RUNS = re.compile(r"(?:/bin/sh -c 'exec )?/opt/ops-companion/current/bin/opsc (\w+)(?= |$)")
# What `opsc up` sets for a server of its own, and Debian for one of the machine's.
OF_ONE_MACHINE = {
    "listen_addresses", "unix_socket_directories", "log_timezone", "log_line_prefix",
    "log_checkpoints", "log_min_duration_statement", "lc_messages",
    *SIZES,
}  # fmt: skip
# Who looks at everything has to be root; all others are users that exist only while they run.
OF_ROOT = {"opsc-doctor.service"}


def values(unit: Path, key: str) -> list[str]:
    """Return all that a unit gives for a key, in order."""
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


def files() -> Iterator[Path]:
    return (path for path in DEPLOY.rglob("*") if path.is_file())


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_exists(unit: Path) -> None:
    [command] = values(unit, "ExecStart")
    found = RUNS.match(command)
    assert found is not None
    assert found[1] in COMMANDS


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_unit_reads_files_that_the_page_makes(unit: Path) -> None:
    for path in values(unit, "EnvironmentFile"):
        assert f"`{Path(path).name}`" in INSTALL_PAGE


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_unit_is_confined(unit: Path) -> None:
    is_of_root = unit.name in OF_ROOT
    for key, value in {
        "CapabilityBoundingSet": "CAP_DAC_READ_SEARCH" if is_of_root else "",
        "DynamicUser": None if is_of_root else "yes",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "UMask": "0022" if is_of_root else "0077",
    }.items():
        assert values(unit, key) == ([] if value is None else [value]), key
    for key in ("MemoryMax", "TasksMax", "SystemCallFilter"):
        assert values(unit, key), key


@pytest.mark.parametrize(
    ("unit", "module"), [("opsc-listen.service", "listener"), ("opsc-deliver.service", "webhooks")]
)
def test_a_role_that_makes_no_code_does_not_load_the_compiler(unit: str, module: str) -> None:
    # Deliver starts what writes exports, which has it.
    forbidden = [] if module == "webhooks" else ["yes"]
    assert values(DEPLOY / "systemd" / unit, "MemoryDenyWriteExecute") == forbidden
    program = f"import sys, {module}.__main__; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_service_that_stays_is_part_of_the_target() -> None:
    apart = {path.name for path in SERVICES if not values(path, "PartOf")}
    assert apart == {"opsc-backup.service", "opsc-doctor.service", "opsc-migrate.service"}
    assert apart == {path.name for path in SERVICES if values(path, "Type") == ["oneshot"]}


def test_a_timer_starts_a_service_that_exists() -> None:
    timers = sorted((DEPLOY / "systemd").glob("*.timer"))
    assert timers
    for timer in timers:
        assert timer.with_suffix(".service") in SERVICES


@pytest.mark.parametrize("path", sorted(files()), ids=lambda path: path.name)
def test_what_is_deployed_names_only_variables_that_exist(path: Path) -> None:
    assert variables(path.read_text()) <= variables(settings_page)


def test_nginx_spreads_over_the_processes_that_the_page_starts() -> None:
    text = (DEPLOY / "nginx" / "ops-companion.conf").read_text()
    upstream = text[text.index("upstream ops_companion_api") :].partition("}")[0]
    ports = re.findall(r"server 127\.0\.0\.1:(\d+);", upstream)
    assert ports
    assert (
        ports
        == re.findall(r"opsc-api@(\d+)", INSTALL_PAGE[INSTALL_PAGE.index("enable --now") :])[
            : len(ports)
        ]
    )


def test_the_database_is_set_as_opsc_up_sets_its_own() -> None:
    text = (DEPLOY / "postgresql" / "ops-companion.conf").read_text()
    given = dict(re.findall(r"^([\w.]+) = '(.*)'$", text, re.MULTILINE))
    wanted = {k: v for k, v in POSTGRES_SETTINGS.items() if k not in OF_ONE_MACHINE}
    assert given == wanted


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_files_that_a_page_copies_are_there(page: Path) -> None:
    for name in re.findall(r"/opt/ops-companion/current/(deploy/\S+)", page.read_text()):
        assert list(ROOT.glob(name)), name


def test_a_base_backup_is_confined_but_for_what_postgresql_shares_with_it() -> None:
    """Both run as postgres: RemoveIPC would remove PostgreSQL's memory, and with PrivateTmp the
    lock of a base backup by hand would not be seen.
    """
    unit = DEPLOY / "pgbackrest" / "opsc-base-backup.service"
    assert values(unit, "User") == ["postgres"]
    assert values(unit, "RemoveIPC") == values(unit, "PrivateTmp") == []
    assert values(unit, "CapabilityBoundingSet") == [""]
    assert values(unit, "NoNewPrivileges") == ["yes"]
    assert values(unit, "SystemCallFilter")
    assert unit.with_suffix(".timer").exists()


def test_what_the_machine_decides_is_in_one_file_alone() -> None:
    """And `opsc doctor` compares all of it with what the server has."""
    memory, disk = 8 * GIB, 200 * GIB
    printed = re.findall(r"^(\w+) = '\d+MB'$", configuration(memory, disk), re.MULTILINE)
    assert printed == list(SIZES)
    text = "".join(path.read_text() for path in DEPLOY.rglob("*.conf"))
    assert not set(printed) & set(re.findall(r"^(\w+) = ", text, re.MULTILINE))


def test_a_unit_that_can_be_reloaded_sends_the_signal_that_its_role_takes() -> None:
    units = [path for path in SERVICES if values(path, "ExecReload")]
    assert [path.name for path in units] == ["opsc-listen.service"]
    assert values(units[0], "ExecReload") == ["/bin/kill -HUP $MAINPID"]
