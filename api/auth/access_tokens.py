"""Access tokens: JWTs signed with Ed25519 (RFC 8037, RFC 9068), good for a limited time.

A token says which sign-in it comes from; what its user may do is asked elsewhere
(`api.auth.credential_cache`). Signing keys follow one another, a new one every 30 days, each
derived from the secret key and its number: every process of an installation has the same without
asking, and the key before still verifies while its last tokens live. Verifying a signature costs
about 90 us: a token that was verified is remembered until it expires, within a bound.
"""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from db.core.secrets import derived_key
from service.ttl_cache import TtlCache
from telemetry.ids import IdError, format_id, parse_id

_ISSUER = "ops-companion"
_AUDIENCE = "ops-companion-api"
_TYPE = "at+jwt"
_KEY_LIFETIME_S = 30 * 86_400
_MAX_TOKEN_CHARACTERS = 2048
_REMEMBERED = 10_000
_CLAIMS = ["iss", "aud", "sub", "org", "sid", "iat", "exp", "jti"]


@dataclass(frozen=True, slots=True)
class Grant:
    """The claims that a token stands for."""

    org_id: UUID
    user_id: UUID
    sign_in_id: UUID


class TokenError(Exception):
    """A token that we did not give, or that is no longer good."""


class Tokens:
    """The issuer and verifier of tokens."""

    def __init__(
        self, secret_key: bytes, lifetime_s: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret_key = secret_key
        self._clock = clock
        self._keys: dict[int, Ed25519PrivateKey] = {}
        self.lifetime_s = lifetime_s
        self._verified = TtlCache[str, Grant](_REMEMBERED, clock)

    def issue(self, grant: Grant) -> str:
        """Return a token for `grant`, from now on."""
        now_s = int(self._clock())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": format_id("usr", grant.user_id),
            "org": format_id("org", grant.org_id),
            "sid": format_id("sgn", grant.sign_in_id),
            "iat": now_s,
            "exp": now_s + self.lifetime_s,
            "jti": uuid4().hex,
        }
        number = self._number()
        headers = {"kid": _key_id(number), "typ": _TYPE}
        return jwt.encode(claims, self._key(number), algorithm="EdDSA", headers=headers)

    def verify(self, token: str) -> Grant:
        """Return what a token stands for. Raises TokenError."""
        grant = self._verified.get(token)
        if grant is None:
            grant, expires_s = self._read(token)
            if self._clock() >= expires_s:
                raise TokenError("The token has expired.")
            self._verified.put(token, grant, expires_s)
        return grant

    def expires_at(self, token: str) -> datetime:
        """Return when a token expires, which `verify` has found to be good."""
        claims = jwt.decode(token, options={"verify_signature": False})
        return datetime.fromtimestamp(claims["exp"], UTC)

    def key_set(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys (RFC 7517) that verify: the present one, the one before and the
        next.
        """
        return {"keys": [self._public(number) for number in self._good_numbers()]}

    def _read(self, token: str) -> tuple[Grant, float]:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenError("The token is not valid.")
        try:
            claims = jwt.decode(
                token,
                self._key_of(token).public_key(),
                algorithms=["EdDSA"],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
            )
            return _grant(claims), float(claims["exp"])
        except (jwt.InvalidTokenError, IdError, ValueError, TypeError):
            raise TokenError("The token is not valid.") from None

    def _key_of(self, token: str) -> Ed25519PrivateKey:
        header = jwt.get_unverified_header(token)
        if header.get("typ") == _TYPE:
            for number in self._good_numbers():
                if header.get("kid") == _key_id(number):
                    return self._key(number)
        raise jwt.InvalidTokenError

    def _number(self) -> int:
        return int(self._clock()) // _KEY_LIFETIME_S

    def _good_numbers(self) -> range:
        """Return the next one too: the clocks of two machines differ a little."""
        return range(self._number() - 1, self._number() + 2)

    def _key(self, number: int) -> Ed25519PrivateKey:
        if number not in self._keys:
            purpose = b"jwt-ed25519-" + str(number).encode()
            seed = derived_key(self._secret_key, purpose)
            self._keys[number] = Ed25519PrivateKey.from_private_bytes(seed)
        return self._keys[number]

    def _public(self, number: int) -> dict[str, str]:
        point = self._key(number).public_key().public_bytes_raw()
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64.urlsafe_b64encode(point).rstrip(b"=").decode("ascii"),
            "kid": _key_id(number),
            "alg": "EdDSA",
            "use": "sig",
        }


def _key_id(number: int) -> str:
    return f"ed25519-{number}"


def _grant(claims: dict[str, str]) -> Grant:
    return Grant(
        parse_id("org", claims["org"]),
        parse_id("usr", claims["sub"]),
        parse_id("sgn", claims["sid"]),
    )
