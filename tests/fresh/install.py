"""`make fresh`, the server: every command of docs/install.md, typed in the Debian root.

Services run as their units say (tests/fresh/systemctl.py), in a network that has loopback alone, so
that their usual ports are free whatever the machine runs. Then a tracker's fix goes in, a plan's
limit is asked of both API processes through nginx, and the tools of others read what is in deploy/.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.fresh.machine import REPOSITORY, ROOT_USER, DebianRoot, FreshError

BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALLS = re.compile(r"^apt-get install .*$", re.MULTILINE)
INSTALL_PAGE = (REPOSITORY / "docs" / "install.md").read_text()
# Beside what the page installs: a device, and those who check.
TOOLS = "apt-get install -y --no-install-recommends mosquitto-clients systemd prometheus"
SOURCE = "/opt/ops-companion/source"
UNITS = f"{SOURCE}/deploy/systemd"
# Brings loopback up, says so, and holds the network until it is killed.
HOLD = """
import fcntl, socket, struct, time
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
print("up", flush=True)
time.sleep(7200)
"""
CURL = "curl -sS --cacert /etc/ops-companion/tls/chain.pem"
FIX = """
set -eu
API=https://ops.example.com
call() { CURL -f -H "authorization: Bearer $TOKEN" "$API/v1/$1" "${@:2}"; }
TOKEN=$(CURL -f $API/v1/auth/token --json @/root/first-admin.json | jq -r .access_token)
call trackers --json '{}' > tracker.json
TRACKER=$(jq -r .id tracker.json)
sleep 2
mosquitto_pub -q 1 -u "$TRACKER" -P "$(jq -r .secret tracker.json)" -t "trackers/$TRACKER/fixes" \
  -m "{\\"time\\": \\"$(date -u +%FT%TZ)\\", \\"lat\\": 47.37, \\"lon\\": 8.54}"
for _ in $(seq 50); do
  call "gps-events?tracker_id=$TRACKER" | jq -e '.data[0].lat == 47.37' && exit 0
  sleep 0.2
done
exit 1
""".replace("CURL", CURL)
# A minute of the plan `starter`, asked of both processes: 1,000 are let in and no more.
LIMIT = """
set -eu
set -a; . /etc/ops-companion/migrate.env; set +a
API=https://ops.example.com
opsc org create --name Small --email small@example.com --plan starter --addon --json > small.json
TOKEN=$(CURL -f $API/v1/auth/token --json @small.json | jq -r .access_token)
CURL --parallel --parallel-max 8 -H "authorization: Bearer $TOKEN" -w '%{http_code}\\n' \
  -o /dev/null "$API/v1/assets?limit=[1-1000]" \
  -o /dev/null "$API/v1/sites?limit=[1-100]" > answers
sort answers | uniq -c
test "$(grep -c 200 answers)" = 1000
test "$(grep -c 429 answers)" = 100
for PORT in 18001 18002; do
  curl -fsS http://127.0.0.1:$PORT/metrics | grep 'requests_total{method="GET",route="/v1/assets"'
done
""".replace("CURL", CURL)
GRANT = "runuser -u postgres -- psql -c 'GRANT CONNECT ON DATABASE opsc TO opsc_backup'"
# One that the next backup removes, and one that it keeps.
OLD_BACKUPS = """
cd /var/lib/ops-companion-backup
for DAYS in 13 15; do
  cp -a "$(ls -d *Z | tail -n 1)" "$DAYS-days"
  touch -d "$DAYS days ago" "$DAYS-days"
done
"""
OLD_BACKUPS_ARE_GONE = """
cd /var/lib/ops-companion-backup
ls -l . *
test ! -e 15-days
test "$(stat -c %a:%U 13-days *Z/* /etc/ops-companion/backup.env | sort -u | xargs)" \
  = '600:opsc-backup 600:root 700:opsc-backup'
test "$(ls -d *Z | wc -l)" = 2
"""
READS = (
    f"systemd-analyze verify {UNITS}/*",
    f"systemd-analyze security --no-pager --offline=true --threshold=20 {UNITS}/*.service"
    " | grep Overall",
    f"cd {SOURCE}/deploy/prometheus && promtool check config prometheus.yml",
    f"cd {SOURCE}/deploy/prometheus && promtool test rules alerts_test.yml",
)


def install_server(root: DebianRoot) -> None:
    """Follow the page, then try what it made. Raises FreshError."""
    _prepare(root)
    with _loopback_alone(root):
        for block in BLOCKS.findall(INSTALL_PAGE):
            if "make install TO" in block and "systemctl" not in block:
                with _other_network(root):
                    _bash(root, block)
            else:
                _bash(root, block)
            if "opsc restore" in block:
                _lose_the_database(root, block)
        _bash(root, OLD_BACKUPS_ARE_GONE)
        _bash(root, FIX)
        print(_bash(root, LIMIT))
        for command in READS:
            print(_bash(root, command))
        _bash(root, "systemctl stop ops-companion.target nginx postgresql")


def _lose_the_database(root: DebianRoot, restoring: str) -> None:
    """Lose the database, and get it back by the page's own words: what follows works with what was
    restored.
    """
    _bash(root, "systemctl stop ops-companion.target; runuser -u postgres -- dropdb opsc")
    _bash(root, restoring.replace("opsc_trial", "opsc"))
    _bash(root, GRANT)
    _bash(root, OLD_BACKUPS)
    _bash(root, "systemctl start ops-companion.target")


def _prepare(root: DebianRoot) -> None:
    """Prepare all that comes from the network, the name in the page, and the stand-in
    for systemd.
    """
    # Debian starts what it installs unless it is told not to.
    _program(root, "usr/sbin/policy-rc.d", "exit 101")
    for command in (TOOLS, *INSTALLS.findall(INSTALL_PAGE)):
        # Installed by the page itself: PostgreSQL takes the first port that is free there.
        root.run(ROOT_USER, command if command == TOOLS else f"{command} --download-only")
    root.run(ROOT_USER, "echo '127.0.0.1 localhost ops.example.com' > /etc/hosts")
    shutil.copy(
        REPOSITORY / "tests" / "fresh" / "systemctl.py", root.path / "usr/local/lib/systemctl.py"
    )
    _program(root, "usr/local/bin/systemctl", 'exec python3 /usr/local/lib/systemctl.py "$@"')
    source = root.path / SOURCE.lstrip("/")
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(source)], check=True)
    root.run(ROOT_USER, f"chown -R root:root {SOURCE}")


def _program(root: DebianRoot, path: str, script: str) -> None:
    (root.path / path).write_text(f"#!/bin/sh\n{script}\n")
    (root.path / path).chmod(0o755)


def _bash(root: DebianRoot, script: str) -> str:
    """Run a block in a bash of its own, which ends at the first command that fails."""
    path = root.path / "root" / "block.sh"
    path.write_text(f"set -eo pipefail\n{script}\n")
    return root.run(ROOT_USER, "bash /root/block.sh")


@contextmanager
def _loopback_alone(root: DebianRoot) -> Iterator[None]:
    """Let commands run in a network of their own while the block lasts."""
    command = ["unshare", "--net", sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"up\n":
                raise FreshError("a network of its own cannot be made here")
            root.prefix = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
            yield
        finally:
            root.prefix = ()
            holder.kill()


@contextmanager
def _other_network(root: DebianRoot) -> Iterator[None]:
    """Let commands reach the machine's network while the block lasts."""
    prefix, root.prefix = root.prefix, ()
    try:
        yield
    finally:
        root.prefix = prefix
