"""The user of the roles: where we are root, the servers' user, with as few rights as it takes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stack.servers.os_user import Capability, Identity, can_read, has_capability, service_identity
from stack.servers.supervisor import Say

CODE = Path(__file__).resolve().parent.parent
_PYTHON = (Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix))


class RoleUser(NamedTuple):
    """identity: None for ourselves. reads_everything: else it could not read all of its files."""

    identity: Identity | None = None
    reads_everything: bool = False


def role_user(home: Path, reads: Iterable[Path], say: Say) -> RoleUser:
    """Return the owner of the servers' folder `home`, able to read the code and `reads`; root as
    the last resort, which is said.
    """
    identity = service_identity(owner_of=home)
    if identity is None:
        return RoleUser()
    hidden = [path for path in (CODE, *_PYTHON, *reads) if not can_read(path, identity)]
    if hidden and not has_capability(Capability.DAC_READ_SEARCH):
        say(f"the roles run as root, since the user {identity.name} cannot read {hidden[0]}")
        return RoleUser()
    return RoleUser(identity, bool(hidden))
