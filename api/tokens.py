"""Access tokens: JWTs signed with Ed25519 (RFC 8037), good for a limited time.

The signing key is derived from the secret key, so every API process of an installation has the
same. Verifying a signature costs about 90 us: a token that was verified is remembered until it
expires, within a bound.
"""

import time
from collections import OrderedDict
from typing import get_args
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.callers import Caller
from db.secretbox import derived_key
from db.users import Role
from telemetry.ids import IdError, format_id, parse_id

_ISSUER = "ops-companion"
_AUDIENCE = "ops-companion-api"
_KEY_ID = "ed25519-1"
_MAX_TOKEN_CHARACTERS = 2048
_REMEMBERED = 10_000
_CLAIMS = ["iss", "aud", "sub", "org", "sid", "role", "iat", "exp", "jti"]


class TokenError(Exception):
    """A token that we did not give, or that is no longer good."""


class Tokens:
    """Issues and verifies."""

    def __init__(self, secret_key: bytes, lifetime_s: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(
            derived_key(secret_key, b"jwt-ed25519-1")
        )
        self._public = self._private.public_key()
        self.lifetime_s = lifetime_s
        self._verified: OrderedDict[str, tuple[Caller, float]] = OrderedDict()

    def issue(self, caller: Caller) -> str:
        """A token for `caller`, from now on."""
        now_s = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": format_id("usr", caller.user_id),
            "org": format_id("org", caller.org_id),
            "sid": format_id("sgn", caller.credential_id),
            "role": caller.role,
            "iat": now_s,
            "exp": now_s + self.lifetime_s,
            "jti": uuid4().hex,
        }
        return jwt.encode(claims, self._private, algorithm="EdDSA", headers={"kid": _KEY_ID})

    def verify(self, token: str) -> Caller:
        """Whose token it is. Raises TokenError."""
        known = self._verified.get(token)
        if known is None:
            known = self._read(token)
            self._remember(token, known)
        caller, expires_s = known
        if time.time() >= expires_s:
            self._verified.pop(token, None)
            raise TokenError("The token has expired.")
        return caller

    def _read(self, token: str) -> tuple[Caller, float]:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenError("The token is not one of ours.")
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["EdDSA"],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": _CLAIMS},
            )
            return _caller(claims), float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise TokenError("The token has expired.") from None
        except (jwt.InvalidTokenError, IdError, ValueError):
            raise TokenError("The token is not one of ours.") from None

    def _remember(self, token: str, known: tuple[Caller, float]) -> None:
        self._verified[token] = known
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)


def _caller(claims: dict[str, str]) -> Caller:
    role = claims["role"]
    for known in get_args(Role):
        if role == known:
            return Caller(
                org_id=parse_id("org", claims["org"]),
                user_id=parse_id("usr", claims["sub"]),
                role=known,
                via="token",
                credential_id=parse_id("sgn", claims["sid"]),
            )
    raise TokenError("The token is not one of ours.")
