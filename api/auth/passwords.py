"""Passwords: argon2id (RFC 9106), one at a time per process.

19 MiB, two passes, one lane: what OWASP recommends for a server where memory is shared. A hash
costs about 20 ms of a core, so the queue before it is bounded: beyond it the answer is 429, and
signing in cannot take the machine away from everything else.
"""

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from api.auth.password_rules import normalized
from api.http.problems import busy
from api.http.worker_thread import OneThread, QueueFull

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# Hash of nothing that anybody has: verifying against it costs what a real one costs.
_NOBODY = _hasher.hash("nobody")


def hash_password(password: str) -> str:
    """Return a new salted hash. Blocks for about 20 ms."""
    return _hasher.hash(normalized(password))


class Passwords:
    """Hashes and verifies without holding up the event loop. Raises Problem (429) where too many
    are waiting."""

    def __init__(self) -> None:
        self._thread = OneThread("argon2", waiting=32)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password fits. None (no such user) takes the same work
        and is False.
        """
        try:
            fits = await self._thread.run(_fits, password_hash or _NOBODY, password)
        except QueueFull:
            raise busy("Too many sign-ins at once.") from None
        return fits and password_hash is not None

    async def hash(self, password: str) -> str:
        """Hash a password as `hash_password` does."""
        try:
            return await self._thread.run(hash_password, password)
        except QueueFull:
            raise busy("Too many sign-ins at once.") from None

    def close(self) -> None:
        """End the thread."""
        self._thread.close()


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, normalized(password))
    except (VerificationError, InvalidHashError):
        return False
