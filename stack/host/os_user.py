"""The users that the servers and the roles run as.

PostgreSQL refuses to run as root, so root hands its servers to an unprivileged user that the
system already has. The roles run as a user id that has no entry: they own no file of PostgreSQL,
nor of any other program. Anyone else runs them all as themselves. Files that a server reads must
lie where its user can reach them; ``reachable_home`` finds such a place. A role reads the project's
own code, which may lie below /root: then it may read every file (capabilities(7),
CAP_DAC_READ_SEARCH), but it still writes none of others.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

CODE = Path(__file__).resolve().parent.parent
_PYTHON = (Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix))


class RoleUser(NamedTuple):
    """identity: None for ourselves. reads_everything: else it could not read all of its files."""

    identity: OsUser | None = None
    reads_everything: bool = False


def role_user(home: Path, reads: Iterable[Path], say: Callable[[str], None]) -> RoleUser:
    """Return the user of the roles, able to read the code and `reads`; root as the last resort,
    which is said. The owner of the servers' folder `home`, where only that one can reach it.
    """
    identity = service_identity(owner_of=home)
    if identity is None:
        return RoleUser()
    if can_traverse(home.parent, stranger := _stranger()):
        identity = stranger
    hidden = [path for path in (CODE, *_PYTHON, *reads) if not can_read(path, identity)]
    if hidden and not has_capability(Capability.DAC_READ_SEARCH):
        say(f"the roles run as root, since the user {identity.name} cannot read {hidden[0]}")
        return RoleUser()
    return RoleUser(identity, bool(hidden))


SERVICE_USERS = ("postgres", "nobody")
ROLE_IDS = range(59_100, 59_200)  # that distributions give to nobody
SYSTEM_HOME = Path("/var/lib/opsc")


class Capability(IntEnum):
    """Capabilities that matter here (linux/capability.h), by the names that setpriv has."""

    DAC_READ_SEARCH = 2
    SETPCAP = 8
    NET_BIND_SERVICE = 10


@dataclass(frozen=True)
class OsUser:
    """A user that servers and roles are dropped to."""

    name: str
    uid: int
    gid: int
    home: str


def service_identity(owner_of: Path | None = None) -> OsUser | None:
    """Return the user to drop to; ``None`` where we are not root and servers run as ourselves.

    Data that exists keeps its user, so that a user added later changes nothing.
    """
    if os.geteuid() != 0:
        return None
    if owner_of is not None and owner_of.exists() and (uid := owner_of.stat().st_uid) != 0:
        entry = pwd.getpwuid(uid)
        return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
    for name in SERVICE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
    raise RuntimeError(f"none of the users {', '.join(SERVICE_USERS)} exists on this system")


def _stranger() -> OsUser:
    """Return the first user id of ROLE_IDS that has no entry."""
    for uid in ROLE_IDS:
        try:
            pwd.getpwuid(uid)
        except KeyError:
            return OsUser(f"number {uid}", uid, uid, "/")
    raise RuntimeError(f"all users from {ROLE_IDS[0]} to {ROLE_IDS[-1]} have entries")


def can_traverse(folder: Path, identity: OsUser | None) -> bool:
    """Return whether the user can walk down to a folder; parents that are yet to be made do not
    matter.
    """
    if identity is None:
        return True
    bits = (stat.S_IXUSR, stat.S_IXGRP, stat.S_IXOTH)
    there = [parent for parent in [folder, *folder.parents] if parent.exists()]
    return all(_has_bit(parent, identity, bits) for parent in there)


def can_read(path: Path, identity: OsUser) -> bool:
    """Return whether the user can read a file or look into a folder, or could if it were there."""
    path = path.resolve()
    if not can_traverse(path.parent, identity):
        return False
    bits = (stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH)
    return not path.exists() or _has_bit(path, identity, bits)


def can_write(folder: Path, identity: OsUser) -> bool:
    """Return whether the user can make files in a folder, or make the folder if it is not there."""
    folder = folder.resolve()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    bits = (stat.S_IWUSR, stat.S_IWGRP, stat.S_IWOTH)
    return can_traverse(there, identity) and _has_bit(there, identity, bits)


def has_capability(wanted: Capability) -> bool:
    """Return whether this process has it to use and to pass on; a container may have taken it."""
    status = Path("/proc/self/status").read_text()
    permitted = next(line for line in status.splitlines() if line.startswith("CapPrm:"))
    return bool(int(permitted.split()[1], 16) & 1 << wanted)


def _has_bit(path: Path, identity: OsUser, bits: tuple[int, int, int]) -> bool:
    """Return whether the mode has the bit for the user: of its owner, its group or others."""
    facts, (of_owner, of_group, of_others) = path.stat(), bits
    if facts.st_uid == identity.uid:
        return bool(facts.st_mode & of_owner)
    return bool(facts.st_mode & (of_group if facts.st_gid == identity.gid else of_others))


def reachable_home(wanted: Path) -> Path:
    """Return ``wanted``, or its stand-in under /var/lib where the service user cannot reach it.

    That is the case for root under a home folder of mode 0700. The stand-in's name is derived from
    the wanted path, so that the same folder is found again.
    """
    wanted = wanted.resolve()
    if can_traverse(wanted.parent, service_identity()):
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    return SYSTEM_HOME / f"{wanted.name}-{digest}"


def hand_over(path: Path, identity: OsUser | None) -> None:
    """Give one file or folder to the service user, or a link itself, not what it points at."""
    if identity is not None:
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)


def hand_over_opened(file: int, identity: OsUser | None) -> None:
    """Give the file of a descriptor to the service user."""
    if identity is not None:
        os.fchown(file, identity.uid, identity.gid)


def hand_over_files(folder: Path, identity: OsUser | None) -> None:
    """Give a folder and the files in it to the service user, where it may have written before.

    It may have put links there to files that are not its own: those stay as they are.
    """
    hand_over(folder, identity)
    for path in folder.iterdir():
        with suppress(OSError):  # a symlink, or a socket
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                facts = os.fstat(file)
                if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
                    hand_over_opened(file, identity)
            finally:
                os.close(file)
