"""The throttle of sign-ins: it slows down guessing of passwords in all processes together, and
locks no user out of a network that they use.

Failures are counted for the network from which they come, and for the pair of network and email
that they name: failures elsewhere do not affect a user. Some are free, and then the wait doubles.

Somebody with many networks has few guesses: an email has a hundred a day over all networks that the
user never signed in from. Beyond, such a network needs the mailed link. It is trusted for 90 days
where the user signed in, or set a password by a mailed link.

An email is counted without the organization: separate counts would reveal to which organization an
email belongs. An unknown email is counted like a known one.

Under a new first secret key all counts begin at zero. Trust is found under the older keys, too.
"""

import hmac
import math
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from starlette.requests import Request

from api.http.middleware import client_address
from api.http.problems import Problem
from db.core.connect import Pool
from db.core.secrets import SecretKeys, derived_keys
from db.identity import sign_in_failures
from db.identity.sign_in_failures import Allowance

_OF_ADDRESS = Allowance(free=50, forgotten_after_s=60, longest_block_s=900)
_OF_PAIR = Allowance(free=5, forgotten_after_s=3600, longest_block_s=900)
_OF_UNTRUSTED = Allowance(
    free=99, forgotten_after_s=864, longest_block_s=864, first_block_s=864
)  # a hundred a day
_OF_MAIL = Allowance(free=3, forgotten_after_s=1200, longest_block_s=86_400)
_TRUSTED = timedelta(days=90)
_TOO_MANY = ("too_many_sign_ins", "Too many attempts failed: wait before the next one.")
_LINK_NEEDED = (
    "password_link_needed",
    "Too many attempts for this email failed, from networks where nobody signed in with it. Ask for"
    " a link by mail (POST /v1/auth/password-reset), and set a password by it from this network.",
)


class Counted(NamedTuple):
    """The keys under which an attempt is counted. is_own: the user is trusted at this network, and
    the key is theirs alone.
    """

    keys: tuple[bytes, ...]
    is_own: bool


class Throttle:
    """Counts attempts under keys that do not reveal names."""

    def __init__(self, secret_keys: SecretKeys, connections: Pool) -> None:
        self._key, *self._older_keys = derived_keys(secret_keys, b"sign-in-failures")
        self._connections = connections

    async def admit_address(self, request: Request) -> bytes:
        """Count an attempt from an address; returns the key. Raises Problem (429)."""
        key = _hash(self._key, "address", client_address(request))
        await self._admit(key, _OF_ADDRESS)
        return key

    async def admit_user(self, request: Request, org_id: UUID, name: str) -> Counted:
        """Count an attempt to sign in as a user. Raises Problem (429)."""
        whose = _here(request, org_id, name)
        here = _hash(self._key, *whose)
        async with self._connections.connection() as conn:
            is_trusted = await sign_in_failures.is_trusted(
                conn, [here, *(_hash(key, *whose) for key in self._older_keys)]
            )
        if is_trusted:
            counted = Counted((here,), is_own=True)
        else:
            pair = _hash(self._key, "email at address", name, client_address(request))
            counted = Counted((pair, _hash(self._key, "email", name)), is_own=False)
        await self._admit(counted.keys[0], _OF_PAIR)
        if not counted.is_own:
            await self._admit(counted.keys[1], _OF_UNTRUSTED, _LINK_NEEDED)
        return counted

    async def succeeded(self, user: Counted, address: bytes | None = None) -> None:
        """Take back a successful attempt.

        All failures under a key of the user's own are forgotten. Those of an email stay, since they
        may concern a user of another organization.
        """
        async with self._connections.connection() as conn:
            if address is not None:
                await sign_in_failures.take_back(conn, address)
            settle = sign_in_failures.forget if user.is_own else sign_in_failures.take_back
            for key in user.keys:
                await settle(conn, key)

    async def trust(self, request: Request, org_id: UUID, name: str) -> None:
        """Trust the address of this request: the user's failures there are counted separately."""
        here = _hash(self._key, *_here(request, org_id, name))
        async with self._connections.connection() as conn:
            await sign_in_failures.trust(conn, here, _TRUSTED)

    async def admits_mail(self, org_id: UUID, email: str) -> bool:
        """Return whether another letter may go to a person who has perhaps not asked for it."""
        key = _hash(self._key, "mail", org_id.hex, email)
        async with self._connections.connection() as conn:
            return (await sign_in_failures.count(conn, key, _OF_MAIL)).is_admitted

    async def _admit(
        self, key: bytes, allowance: Allowance, refusal: tuple[str, str] = _TOO_MANY
    ) -> None:
        async with self._connections.connection() as conn:
            admission = await sign_in_failures.count(conn, key, allowance)
        if not admission.is_admitted:
            headers = {"Retry-After": str(max(1, math.ceil(admission.wait_s)))}
            raise Problem(429, *refusal, headers=headers)


def _here(request: Request, org_id: UUID, name: str) -> tuple[str, ...]:
    return "user at address", org_id.hex, name, client_address(request)


def _hash(key: bytes, *parts: str) -> bytes:
    message = b"".join(
        len(part).to_bytes(4, "big") + part for part in (text.encode() for text in parts)
    )
    return hmac.new(key, message, sha256).digest()
