"""Access tokens: JWTs signed with Ed25519 (RFC 8037, RFC 9068), good for a limited time.

A token says which sign-in it comes from; what its user may do is asked elsewhere
(`api.auth.credential_cache`). Signing keys follow one another, a new one every 30 days, each
derived from the secret key and its number: every process of an installation has the same without
asking, and the key before still verifies while its last tokens live. Verifying a signature costs
about 90 us: a token that was verified is remembered until it expires, within a bound.

Of a ring of secret keys the first one signs. A `kid` then has a mark of its secret key before the
number. Where there is one secret key only, the `kid` of new tokens is the number alone; tokens with
either form verify.
"""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from db.core.secrets import SecretKeys, derived_key
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
        self, secret_keys: SecretKeys, lifetime_s: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._secret_keys = {_mark(key): key for key in secret_keys}  # the first one signs
        self._clock = clock
        self._keys: dict[tuple[str, int], Ed25519PrivateKey] = {}
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
        number, first = self._number(), next(iter(self._secret_keys))
        kid = _key_id(number, first if len(self._secret_keys) > 1 else None)
        headers = {"kid": kid, "typ": _TYPE}
        return jwt.encode(claims, self._key(first, number), algorithm="EdDSA", headers=headers)

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
        """Return the public keys (RFC 7517) that verify: of each secret key the present one, the
        one before and the next. The `kid` without a mark names those of the first secret key.
        """
        numbers, first = self._good_numbers(), next(iter(self._secret_keys))
        unmarked = [self._public(_key_id(number), first, number) for number in numbers]
        marked = [
            self._public(_key_id(number, mark), mark, number)
            for mark in self._secret_keys
            for number in numbers
        ]
        return {"keys": unmarked + marked}

    def _read(self, token: str) -> tuple[Grant, float]:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise TokenError("The token is not valid.")
        try:
            claims = self._claims(token)
            return _grant(claims), float(claims["exp"])
        except (jwt.InvalidTokenError, IdError, ValueError, TypeError):
            raise TokenError("The token is not valid.") from None

    def _claims(self, token: str) -> dict[str, str]:
        header = jwt.get_unverified_header(token)
        if header.get("typ") == _TYPE:
            for key in self._keys_called(header.get("kid")):
                with suppress(jwt.InvalidSignatureError):
                    return jwt.decode(
                        token,
                        key.public_key(),
                        algorithms=["EdDSA"],
                        audience=_AUDIENCE,
                        issuer=_ISSUER,
                        options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
                    )
        raise jwt.InvalidTokenError

    def _keys_called(self, kid: object) -> Iterator[Ed25519PrivateKey]:
        """Yield the keys that a `kid` may mean: without a mark, that of each secret key."""
        for number in self._good_numbers():
            for mark in self._secret_keys:
                if kid in (_key_id(number), _key_id(number, mark)):
                    yield self._key(mark, number)

    def _number(self) -> int:
        return int(self._clock()) // _KEY_LIFETIME_S

    def _good_numbers(self) -> range:
        """Return the next one too: the clocks of two machines differ a little."""
        return range(self._number() - 1, self._number() + 2)

    def _key(self, mark: str, number: int) -> Ed25519PrivateKey:
        if (mark, number) not in self._keys:
            purpose = b"jwt-ed25519-" + str(number).encode()
            seed = derived_key(self._secret_keys[mark], purpose)
            self._keys[mark, number] = Ed25519PrivateKey.from_private_bytes(seed)
        return self._keys[mark, number]

    def _public(self, kid: str, mark: str, number: int) -> dict[str, str]:
        point = self._key(mark, number).public_key().public_bytes_raw()
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64.urlsafe_b64encode(point).rstrip(b"=").decode("ascii"),
            "kid": kid,
            "alg": "EdDSA",
            "use": "sig",
        }


def _mark(secret_key: bytes) -> str:
    return derived_key(secret_key, b"jwt-key-id").hex()[:16]


def _key_id(number: int, mark: str | None = None) -> str:
    return f"ed25519-{number}" if mark is None else f"ed25519-{mark}-{number}"


def _grant(claims: dict[str, str]) -> Grant:
    return Grant(
        parse_id("org", claims["org"]),
        parse_id("usr", claims["sub"]),
        parse_id("sgn", claims["sid"]),
    )
