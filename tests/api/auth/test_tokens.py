"""Access tokens against those who make their own, and the keys that they verify with."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.auth.access_tokens import Grant, TokenError, Tokens
from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.running import Client, Organization, RunningApi

pytestmark = pytest.mark.own_api

SECRET_KEY = bytes(range(32))
MONTH_S = 30 * 86_400
NOW_S = 1_800_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grant(api: RunningApi, north: Organization) -> Grant:
    """A sign-in of the viewer that is good."""
    me = (await north.viewer.get("/v1/users/me")).json["id"]
    return api.grant(north.org_id, parse_id("usr", me))


def _claims(grant: Grant, **changes: Any) -> dict[str, Any]:
    right = {
        "iss": "ops-companion",
        "aud": "ops-companion-api",
        "sub": format_id("usr", grant.user_id),
        "org": format_id("org", grant.org_id),
        "sid": format_id("sgn", grant.sign_in_id),
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
        "jti": "1",
    }
    return {name: value for name, value in (right | changes).items() if value is not None}


def _signing_key(api: RunningApi) -> tuple[Ed25519PrivateKey, dict[str, str]]:
    """Return the installation's own key and the headers that go with it: what only it can have."""
    tokens = Tokens(api.settings.secret_keys, 60)
    header = jwt.get_unverified_header(tokens.issue(Grant(new_id(), new_id(), new_id())))
    return next(tokens._keys_called(header["kid"])), {"kid": header["kid"], "typ": header["typ"]}


def _signed(api: RunningApi, claims: dict[str, Any], **headers: Any) -> str:
    key, own = _signing_key(api)
    given = {name: value for name, value in (own | headers).items() if value is not None}
    return jwt.encode(claims, key, algorithm="EdDSA", headers=given)


def _hmac_with_the_public_key(api: RunningApi, grant: Grant) -> str:
    key, headers = _signing_key(api)
    public = key.public_key().public_bytes_raw() + bytes(32)
    return jwt.encode(_claims(grant), public, algorithm="HS256", headers=headers)


def _unsigned(api: RunningApi, grant: Grant) -> str:
    _, headers = _signing_key(api)
    return jwt.encode(_claims(grant), None, algorithm="none", headers=headers)


def _another_payload(api: RunningApi, grant: Grant) -> str:
    header, _, signature = _signed(api, _claims(grant)).split(".")
    changed = json.dumps(_claims(grant, sub=format_id("usr", new_id()))).encode()
    return ".".join([header, base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), signature])


def _key_in_the_header(api: RunningApi, grant: Grant) -> str:
    stranger = Ed25519PrivateKey.generate()
    point = base64.urlsafe_b64encode(stranger.public_key().public_bytes_raw()).rstrip(b"=")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": point.decode()}
    _, own = _signing_key(api)
    return jwt.encode(_claims(grant), stranger, algorithm="EdDSA", headers=own | {"jwk": jwk})


ATTACKS: dict[str, Callable[[RunningApi, Grant], str]] = {
    "garbage": lambda api, grant: "garbage",
    "three parts of nothing": lambda api, grant: "a.b.c",
    "too long": lambda api, grant: "x" * 5000,
    "alg none": _unsigned,
    "HS256 with the public key": _hmac_with_the_public_key,
    "a payload of another token": _another_payload,
    "a key that the token brings itself": _key_in_the_header,
    "another installation": lambda api, grant: Tokens((SECRET_KEY,), 60).issue(grant),
    "a kid that is a path": lambda api, grant: _signed(api, _claims(grant), kid="../../etc/passwd"),
    "a kid of another key": lambda api, grant: _signed(api, _claims(grant), kid="ed25519-1"),
    "no kid": lambda api, grant: _signed(api, _claims(grant), kid=None),
    "a token of another type": lambda api, grant: _signed(api, _claims(grant), typ="JWT"),
    "another audience": lambda api, grant: _signed(api, _claims(grant, aud="dashboard")),
    "another issuer": lambda api, grant: _signed(api, _claims(grant, iss="else")),
    "expired": lambda api, grant: _signed(api, _claims(grant, exp=int(time.time()) - 1)),
    "without an end": lambda api, grant: _signed(api, _claims(grant, exp=None)),
    "an end that is no number": lambda api, grant: _signed(api, _claims(grant, exp="never")),
    "no sign-in": lambda api, grant: _signed(api, _claims(grant, sid=None)),
    "a sign-in that never was": lambda api, grant: _signed(
        api, _claims(grant, sid=format_id("sgn", new_id()))
    ),
    "a sign-in of another organization": lambda api, grant: _signed(
        api, _claims(grant, org=format_id("org", new_id()))
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_token_that_is_not_ours_or_no_longer_good_is_a_401(
    api: RunningApi, grant: Grant, name: str
) -> None:
    answer = await Client(api.url, ATTACKS[name](api, grant)).get("/v1/assets")
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_same_token_without_a_fault_is_taken(api: RunningApi, grant: Grant) -> None:
    answer = await Client(api.url, _signed(api, _claims(grant))).get("/v1/assets")
    assert answer.status == 200


async def test_a_token_that_was_good_ends_when_it_expires(api: RunningApi, grant: Grant) -> None:
    client = Client(api.url, Tokens(api.settings.secret_keys, 2).issue(grant))
    assert (await client.get("/v1/assets")).status == 200
    deadline_s = time.monotonic() + 10
    while (await client.get("/v1/assets")).status == 200:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)
    assert (await client.get("/v1/assets")).json["detail"] == "The token has expired."


async def test_whoever_reads_the_public_keys_can_check_a_token(
    api: RunningApi, north: Organization
) -> None:
    answer = await api.anonymous.get("/.well-known/jwks.json")
    assert answer.status == 200
    assert north.viewer.token is not None
    header = jwt.get_unverified_header(north.viewer.token)
    (found,) = [key for key in answer.json["keys"] if key["kid"] == header["kid"]]
    assert not {"d", "k"} & found.keys()
    claims = jwt.decode(
        north.viewer.token,
        jwt.PyJWK(found).key,
        algorithms=["EdDSA"],
        audience="ops-companion-api",
        issuer="ops-companion",
    )
    assert claims["org"] == north.id


class _Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


def test_signing_keys_follow_one_another_and_the_one_before_still_verifies() -> None:
    clock, grant = _Clock(), Grant(new_id(), new_id(), new_id())
    tokens = Tokens((SECRET_KEY,), 86_400, clock)
    ended_s = (NOW_S // MONTH_S + 1) * MONTH_S
    clock.now_s = ended_s - 1
    old = tokens.issue(grant)
    clock.now_s = ended_s + 3600
    new = tokens.issue(grant)
    kids = [jwt.get_unverified_header(token)["kid"] for token in (old, new)]
    assert kids[0] != kids[1]
    assert [key["kid"] for key in tokens.key_set()["keys"]][:2] == kids
    afresh = Tokens((SECRET_KEY,), 86_400, clock)
    assert afresh.verify(old) == afresh.verify(new) == grant


def test_a_key_of_long_ago_verifies_nothing() -> None:
    clock, grant = _Clock(), Grant(new_id(), new_id(), new_id())
    token = Tokens((SECRET_KEY,), 10 * MONTH_S, clock).issue(grant)
    clock.now_s += 2 * MONTH_S
    with pytest.raises(TokenError):
        Tokens((SECRET_KEY,), 10 * MONTH_S, clock).verify(token)


def test_a_clock_that_is_behind_takes_a_token_of_the_next_key() -> None:
    clock, grant = _Clock(), Grant(new_id(), new_id(), new_id())
    clock.now_s = (NOW_S // MONTH_S + 1) * MONTH_S
    token = Tokens((SECRET_KEY,), 60, clock).issue(grant)
    clock.now_s -= 5
    assert Tokens((SECRET_KEY,), 60, clock).verify(token) == grant
