"""What servers of a cluster keep from run to run: passwords that they have stored, and ports by
which they know one another.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stack.errors import StackError
from stack.host.os_user import OsUser
from stack.servers.ports import is_free, why_not
from stack.servers.postgres import free_port, make_home, write_private

KEPT = "kept.json"
_ANY_PORT = 0


class Kept(msgspec.Struct, frozen=True):
    """passwords: by what they are for. ports: by the part that listens there."""

    passwords: dict[str, str]
    ports: dict[str, int]

    def require_ports(self) -> None:
        """Raise StackError where something else listens on one of the ports."""
        for part, port in self.ports.items():
            if not is_free(port):
                raise StackError(
                    f"port {port} {why_not(port)}; {part} of the cluster has had it since its first"
                    " start, and the others look for it there"
                )


def kept(home: Path, passwords: Sequence[str], parts: Sequence[str], user: OsUser | None) -> Kept:
    """Return what is kept in `home`, which is made, too; at the first time it is chosen."""
    if (home / KEPT).exists():
        return read_kept(home)
    make_home(home, user)
    chosen = Kept(
        {name: secrets.token_hex(16) for name in passwords},
        {part: free_port(_ANY_PORT) for part in parts},
    )
    write_private(home / KEPT, msgspec.json.format(msgspec.json.encode(chosen)).decode(), None)
    return chosen


def read_kept(home: Path) -> Kept:
    """Raise StackError where nothing is kept there, or this user may not read it."""
    try:
        return msgspec.json.decode((home / KEPT).read_bytes(), type=Kept)
    except OSError as error:
        raise StackError(f"cannot read {home / KEPT}: {error.strerror}") from None
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StackError(f"{home / KEPT} is damaged: {error}") from None
