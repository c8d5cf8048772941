"""Who the servers run as.

PostgreSQL refuses to run as root, so root hands its servers to an unprivileged user that the
system already has. Anyone else runs them as themselves. Files that such a server reads must lie
where that user can reach them; ``reachable_home`` finds such a place.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

SERVICE_USERS = ("postgres", "nobody")
SYSTEM_HOME = Path("/var/lib/opsc")


@dataclass(frozen=True)
class Identity:
    """A user that servers are dropped to."""

    name: str
    uid: int
    gid: int


def service_identity(owner_of: Path | None = None) -> Identity | None:
    """The user to drop to; ``None`` where we are not root and servers run as ourselves.

    Data that exists keeps its user, so that a user added later changes nothing.
    """
    if os.geteuid() != 0:
        return None
    if owner_of is not None and owner_of.exists() and (uid := owner_of.stat().st_uid) != 0:
        entry = pwd.getpwuid(uid)
        return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in SERVICE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError(f"none of the users {', '.join(SERVICE_USERS)} exists on this system")


def can_traverse(folder: Path, identity: Identity | None) -> bool:
    """Whether the user can walk down to a folder; parents that are yet to be made do not matter."""
    if identity is None:
        return True
    for parent in [folder, *folder.parents]:
        if not parent.exists():
            continue
        found = parent.stat()
        if found.st_uid == identity.uid:
            bit = stat.S_IXUSR
        elif found.st_gid == identity.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not found.st_mode & bit:
            return False
    return True


def reachable_home(wanted: Path) -> Path:
    """``wanted``, or its stand-in under /var/lib where the service user cannot reach it.

    That is the case for root under a home folder of mode 0700. The stand-in's name is derived from
    the wanted path, so that the same folder is found again.
    """
    wanted = wanted.resolve()
    if can_traverse(wanted.parent, service_identity()):
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    return SYSTEM_HOME / f"{wanted.name}-{digest}"


def hand_over(path: Path, identity: Identity | None) -> None:
    """Give one file or folder to the service user."""
    if identity is not None:
        os.chown(path, identity.uid, identity.gid)
