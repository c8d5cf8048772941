"""`make fresh`: the life of a server that docs/install.md built, from the first fix to its end.

Each chapter is a few commands as a user or an administrator gives them, on a server with a real
systemd: its units' users, filters of system calls, mounts and credentials hold.
"""

from __future__ import annotations

import re
import time

from tests.fresh.install import (
    BACKUP_PAGE,
    SOURCE,
    blocks,
    prepare,
    type_block,
    type_section,
)
from tests.fresh.machine import DebianRoot
from tests.fresh.server import Server

BACKUP_OF_UPGRADE = "cat /opt/ops-companion/previous-backup"  # as the page says
SECTIONS = ("Programs", "Database", "Settings and secrets", "Roles", "TLS", "First organization")
# A call of the API through nginx, as the first admin or another one.
CALLS = """
API=https://ops.example.com
CURL="curl -sS --cacert /etc/ops-companion/tls/chain.pem"
TOKEN=$($CURL -f $API/v1/auth/token --json @${ADMIN:-first-admin.json} | jq -r .access_token)
call() { $CURL -f -H "authorization: Bearer $TOKEN" "$API/v1/$1" "${@:2}"; }
"""
PREPARE_CALLS = f"cat > calls.sh <<'END'{CALLS}END"
READY = """
for PORT in 8001 8002 9101 9102 9104; do
  timeout 90 sh -c "until curl -fs -m 2 http://127.0.0.1:$PORT/readyz; do sleep 0.2; done"
done
"""
TRACKER = ". ./calls.sh; call trackers --json '{}' > tracker.json; sleep 2"
FIX = """
. ./calls.sh
TRACKER=$(jq -r .id tracker.json)
LON=8.$((RANDOM + 10000))
mosquitto_pub -q 1 -u "$TRACKER" -P "$(jq -r .secret tracker.json)" -t "trackers/$TRACKER/fixes" \
  LISTENER -m "{\\"time\\": \\"$(date -u +%FT%T.%3NZ)\\", \\"lat\\": 47.37, \\"lon\\": $LON}"
for _ in $(seq 50); do
  call "gps-events?tracker_id=$TRACKER&limit=1" | jq -e ".data[0].lon == $LON" && exit 0
  sleep 0.2
done
exit 1
"""
PLAIN_FIX = FIX.replace("LISTENER", "")
TLS_FIX = FIX.replace(
    "LISTENER", "-h ops.example.com -p 8883 --cafile /etc/ops-companion/tls/chain.pem"
)
# By HTTP through nginx, whose log has no key.
HTTP_FIX = """
. ./calls.sh
TRACKER=$(jq -r .id tracker.json) SECRET=$(jq -r .secret tracker.json)
LON=9.$((RANDOM + 10000))
$CURL -f -D head "$API/v1/ingest/osmand/$TRACKER.$SECRET?lat=47.37&lon=$LON"
grep 'opsc-result: stored' head
call "gps-events?tracker_id=$TRACKER&limit=5" | jq -e "[.data[].lon] | index($LON)"
grep -q GET /var/log/nginx/access.log
if grep -r "$SECRET" /var/log/nginx; then exit 1; fi
"""
PAGES = """
. ./calls.sh
$CURL -f -L -H 'Accept: text/html' "$API" > page.html
grep 'id="root"' page.html
$CURL -f -o script.js "$API$(grep -o '/app/static/index-[^"]*[.]js' page.html)"
"""
PHOTO = """
. ./calls.sh
/opt/ops-companion/current/bin/python -c '
from PIL import Image
Image.effect_noise((1600, 1200), 64).convert("RGB").save("photo.jpg")'
SITE=$(call sites --json '{"name": "Depot", "lat": 47.37, "lon": 8.54}' | jq -r .id)
FILE=$(call attachments -F site_id=$SITE -F file=@photo.jpg | jq -r .id)
call "attachments/$FILE/content?size=thumb" -o thumbnail.jpg
call "attachments/$FILE/content" -o copy.jpg
/opt/ops-companion/current/bin/python -c '
from PIL import Image
print("copy", Image.open("copy.jpg").size, "thumbnail", Image.open("thumbnail.jpg").size)'
"""
ZONE = """
. ./calls.sh
/opt/ops-companion/current/bin/python -c '
import json, math
turns = [2 * math.pi * number / 2000 for number in range(2000)]
ring = [[8.54 + 0.01 * math.cos(turn), 47.37 + 0.01 * math.sin(turn)] for turn in turns]
zone = {"name": "Round", "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}
print(json.dumps(zone))' > zone.json
call zones --json @zone.json | jq '.geometry.coordinates[0] | length'
"""
# A minute of the plan `starter`, asked of both processes: 1,000 are let in and no more.
LIMIT = """
(
set -a; . /etc/ops-companion/migrate.env; set +a
opsc org create --name Small --email small@example.com --plan starter --addon --json > small.json
)
ADMIN=small.json
. ./calls.sh
$CURL --parallel --parallel-max 8 -H "authorization: Bearer $TOKEN" -w '%{http_code}\\n' \
  -o /dev/null "$API/v1/assets?limit=[1-1000]" \
  -o /dev/null "$API/v1/sites?limit=[1-100]" > answers
sort answers | uniq -c
test "$(grep -c 200 answers)" = 1000
test "$(grep -c 429 answers)" = 100
for PORT in 18001 18002; do
  curl -fsS http://127.0.0.1:$PORT/metrics | grep 'requests_total{method="GET",route="/v1/assets"'
done
"""
# A day that is too old and one that is not, as if their fixes had been stored in time.
OLD_FIXES = """
runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 opsc <<END
INSERT INTO gps_events
SELECT (jsonb_populate_record(g, jsonb_build_object('time', g.time - days * interval '1 day'))).*
FROM gps_events g, (VALUES (20), (5)) AS ago (days) WHERE g.time > now() - interval '1 hour';
END
DAYS=OPSC_RETENTION_POSITIONS_DAYS=10
echo $DAYS >> /etc/ops-companion/deliver.env
echo $DAYS >> /etc/ops-companion/ingest.env
systemctl restart opsc-deliver opsc-ingest
OLD="time < now() - interval '3 days'"
COUNT="SELECT bool_or(time < now() - interval '10 days'), count(*) > 0 FROM gps_events WHERE $OLD"
for _ in $(seq 100); do
  test "$(runuser -u postgres -- psql -Atc "$COUNT" opsc)" = 'f|t' && exit 0
  sleep 0.3
done
journalctl -u opsc-deliver | tail
exit 1
"""
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
test -e 13-days
test "$(ls -d *Z | wc -l)" -ge 2
test "$(stat -c %a:%U 13-days *Z/* /etc/ops-companion/backup.env | grep -c -v ^[67]00:)" = 0
systemctl list-timers | grep opsc-backup
"""
KILL = "for ROLE in opsc-listen opsc-ingest opsc-deliver opsc-api@8001 opsc-api@8002; do\n"
KILL += f"  systemctl kill --signal=KILL $ROLE\n  sleep 0.5\n{READY}done"
OUTAGE = """
systemctl stop postgresql@17-main
sleep 70
for PORT in 8001 8002 9101 9102 9104; do
  curl -s -m 2 -o /dev/null -w "$PORT %{http_code}\\n" http://127.0.0.1:$PORT/readyz || true
done
systemctl start postgresql@17-main
BACK=$(date +%s%3N)
READY
AWAY_MS=$(($(date +%s%3N) - BACK))
echo "all roles are ready $AWAY_MS ms after the database"
test $AWAY_MS -lt 4000  # two seconds, and what this loop takes on a busy machine
""".replace("READY", READY)
READS = (
    "systemd-analyze verify /etc/systemd/system/opsc-*.service",
    "systemd-analyze security --no-pager --offline=true --threshold=20"
    " /etc/systemd/system/opsc-*.service | grep Overall",
    f"cd {SOURCE}/deploy/prometheus && promtool check config prometheus.yml",
    f"cd {SOURCE}/deploy/prometheus && promtool test rules alerts_test.yml",
)
NOTHING_RUNS = (
    "! systemctl list-units --no-legend --state=active,deactivating 'opsc-*.service' | grep ."
)
# Neither advises `opsc up` beside a running server; both end with 0.
STATUS = """
opsc status > status; cat status
opsc doctor > doctor; cat doctor
if grep 'opsc up' status doctor; then exit 1; fi
test "$(grep -cE '^opsc-(api@8001|api@8002|deliver|ingest|listen) .* ok$' status)" = 5
grep -E '^ok +backup +the newest' doctor
systemctl start opsc-doctor
grep 'opsc_doctor_level{subject="backup"} 0.0' /var/lib/ops-companion-doctor/ops-companion.prom
"""
# What is stopped is found: systemd forgets such a unit, the target names it.
STOPPED = (
    """
systemctl stop opsc-ingest
if opsc status > status; then exit 1; fi
grep '^opsc-ingest .*NOT WELL: is stopped' status
if systemctl start opsc-doctor; then exit 1; fi
systemctl start opsc-ingest
"""
    + READY
)
BASE_BACKUP = """
systemctl show -P Result opsc-base-backup
opsc doctor | grep -E '^ok +archive +the newest, base backup'
"""
STOP = f"systemctl stop ops-companion.target\n{NOTHING_RUNS}"
# A version after this one: its commit is another, and it has a migration more.
NEXT_VERSION = f"""
cd {SOURCE}
echo 'CREATE TABLE next_version (id int PRIMARY KEY);' > db/migrations/9999_next_version.sql
git add db/migrations
git -c user.name=next -c user.email=next@example.com commit -qm 'db: next version'
"""
IS_NEXT = """
opsc --version | grep -F "$(make -s -C /opt/ops-companion/source version)"
journalctl -u opsc-migrate | grep 9999_next_version
"""
IS_BEFORE = """
VERSION=$(opsc --version)
test "${VERSION##* }" != "$(make -s -C /opt/ops-companion/source version)"
"""


def live_through(root: DebianRoot) -> None:
    """Install a server by the page and go through its life. Raises FreshError."""
    server = prepare(root)
    try:
        for section in SECTIONS:
            type_section(server, section)
        _chapter(server, "a fix, a photo, a large zone, a plan's limit", PREPARE_CALLS)
        _chapter(server, "", TRACKER, PLAIN_FIX, HTTP_FIX, PAGES, PHOTO, ZONE, LIMIT)
        _chapter(server, "TLS for trackers")
        type_section(server, "TLS for trackers")
        type_section(server, "First fix")
        _chapter(server, "", READY, TLS_FIX)
        type_section(server, "Backup")
        _chapter(server, "status and doctor", STATUS, STOPPED)
        _chapter(
            server, "an old backup goes, retention", OLD_BACKUPS, "systemctl start opsc-backup"
        )
        _chapter(server, "", OLD_BACKUPS_ARE_GONE, OLD_FIXES, READY, TLS_FIX)
        _chapter(server, "each role is killed", KILL, TLS_FIX)
        _chapter(server, "the database is away for 70 s", OUTAGE, TLS_FIX)
        _chapter(server, "a reboot")
        server.reboot()
        _chapter(server, "", READY, TLS_FIX)
        _chapter(server, "upgrade to a version with a migration", NEXT_VERSION)
        type_section(server, "Upgrade")
        _chapter(server, "", IS_NEXT, TLS_FIX, "systemctl start opsc-backup")  # the newest by far
        _go_back(server)
        _chapter(server, "", IS_BEFORE, TLS_FIX)
        type_section(server, "Setup", BACKUP_PAGE)
        _chapter(server, "", READY, TLS_FIX, BASE_BACKUP)
        _chapter(server, "what others say of the files", *READS)
        began = time.monotonic()
        _chapter(server, "stop", STOP)
        print(f"stopped in {time.monotonic() - began:.1f} s")
    finally:
        server.switch_off()


def _chapter(server: Server, title: str, *scripts: str) -> None:
    if title:
        print(f"-- {title}", flush=True)
    for script in scripts:
        server.bash(script)


def _go_back(server: Server) -> None:
    """Run the rollback, with the database of before: that of the upgrade's backup."""
    print("-- Rollback", flush=True)
    point_back, set_aside, grant, start = blocks("Rollback")
    restore = next(block for block in blocks("Backup") if "opsc restore" in block)
    restore = re.sub("^FOLDER=.*$", f"FOLDER=$({BACKUP_OF_UPGRADE})", restore, flags=re.MULTILINE)
    for block in (point_back, set_aside, restore.replace("opsc_trial", "opsc"), grant, start):
        type_block(server, block)
