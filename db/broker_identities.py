"""Who may sign in to the broker: the trackers that are not revoked, each with a salted hash.

The hash is in the form of mosquitto's password file, so it is written there as it is, and nobody
needs the secret again: not to start a broker that has lost its files, nor to start a second one.

One round of PBKDF2 is enough. Rounds make guessing dear, and a random secret of 256 bits cannot be
guessed; the broker, which has one thread, hashes at each sign-in.
"""

import base64
import os
from hashlib import pbkdf2_hmac
from typing import NamedTuple
from uuid import UUID

from db.connect import Connection

_ROUNDS = 1
_SALT_BYTES = 12


class TrackerIdentity(NamedTuple):
    """broker_hash: None where the tracker may not sign in. revision: of the row's last change."""

    tracker_id: UUID
    broker_hash: str | None
    revision: int


def broker_hash(secret: str) -> str:
    """What a broker knows a secret by; other text at each call. Only for random secrets."""
    salt = os.urandom(_SALT_BYTES)
    digest = pbkdf2_hmac("sha512", secret.encode(), salt, _ROUNDS)
    parts = (base64.b64encode(part).decode("ascii") for part in (salt, digest))
    return "$".join(("", "7", str(_ROUNDS), *parts))


async def changed_since(conn: Connection, revision: int) -> list[TrackerIdentity]:
    """Trackers of all organizations changed after `revision`, by revision; -1 gives all of them.

    Revisions are committed in their order (`db.revision.bump`): whoever has seen one row of a
    revision has seen those of all before it.
    """
    cursor = await conn.execute(
        """
        SELECT id, CASE WHEN revoked_at IS NULL THEN broker_hash END, revision
          FROM trackers WHERE revision > %s ORDER BY revision
        """,
        (revision,),
    )
    return [TrackerIdentity(*row) for row in await cursor.fetchall()]
