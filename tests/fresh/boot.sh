#!/bin/sh
# boot.sh ROOT: starts the systemd of a Debian root as process 1 of namespaces of its own.
#
# Its control group, mounts, processes and name are its own. Its network has loopback alone (systemd
# brings it up), so that every usual port is free whatever the machine runs. Prints its commands,
# then what systemd says. Ends when that systemd ends: it powers off, reboots, or is killed. Needs
# root and control groups of version 2, also where they are mounted beside version 1; their
# controllers (memory, tasks) may be missing.
set -eux
export ROOT="$1"
for GROUPS_FOLDER in /sys/fs/cgroup/unified /sys/fs/cgroup; do
    test -e $GROUPS_FOLDER/cgroup.procs && break
done
# Groups that earlier servers left behind, but for one that still runs.
find $GROUPS_FOLDER -depth -type d -path "$GROUPS_FOLDER/ops-companion-boot-*" \
    -exec rmdir {} + 2>/dev/null || true
GROUP=$GROUPS_FOLDER/ops-companion-boot-$$
mkdir $GROUP
echo $$ > $GROUP/cgroup.procs
exec unshare --mount --pid --net --ipc --uts --cgroup --fork --kill-child bash -euxc '
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
hostname server
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for DEVICE in null zero full random urandom tty; do
    : > dev/$DEVICE
    mount --bind /dev/$DEVICE dev/$DEVICE
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mkdir -p .before
pivot_root . .before
cd /
umount -l /.before
rmdir /.before
mount --make-rshared /
exec env -i container=nspawn PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/lib/systemd/systemd --system --show-status=false --log-target=console --log-level=warning
'
