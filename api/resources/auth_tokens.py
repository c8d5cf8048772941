"""Signing in: tokens for programs, sessions for the dashboard, links for passwords.

A program gets an access token that is good for an hour, and refresh tokens that follow one another.

A refresh token is good once. Whoever brings a used one shows that two have it, and the whole
sign-in ends; but for half a minute after its use, while its successor was not used, the same
successor is given again: so an answer that was lost on the way costs nothing. That is safe since
the chain never forks: the successor follows from the token itself under a key of ours, and is good
once too.

Programs that want to check an access token themselves get the public keys (RFC 7517).
"""

import hmac
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.access_tokens import Grant, TokenError
from api.context import ApiState
from api.http import fields
from api.http.encoding import ok
from api.http.problems import Problem, unauthorized
from api.request.route import PublicRoute
from api.resources.oauth_forms import FormOrJsonRoute
from api.resources.sign_in import Credentials, sign_in
from db.core.connect import Connection
from db.core.secrets import (
    API_KEY,
    MAX_SECRET_CHARACTERS,
    MOST_SECRET_KEYS,
    REFRESH_TOKEN,
    derived_keys,
    new_secret,
    secret_hash,
    written,
)
from db.core.tenant import tenant
from db.identity import api_keys, credentials, sign_ins
from db.identity.sign_ins import Presented, SignIn

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=PublicRoute)
_with_forms = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=FormOrJsonRoute)
_well_known = APIRouter(prefix="/.well-known", tags=["auth"], route_class=PublicRoute)
_SIGN_IN_LIFETIME = timedelta(days=90)
_GRACE = timedelta(seconds=30)


_RefreshToken = Annotated[
    str,
    Field(
        description="good once",
        min_length=1,
        max_length=MAX_SECRET_CHARACTERS,
        examples=["opsr_d9WQ0x3pT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iOwE"],
    ),
]


class TokenPair(BaseModel):
    """A bearer token, and what the next one is had for."""

    access_token: str = Field(
        max_length=4_096,
        pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
        examples=["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3IifQ.c2lnbmF0dXJl"],
    )
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="seconds", ge=1, le=2**31 - 1, examples=[3600])
    refresh_token: _RefreshToken


class Refresh(fields.Body):
    """The refresh token of the last answer."""

    refresh_token: _RefreshToken


class Revocation(fields.Body):
    """A token that is to be good no more (RFC 7009)."""

    token: Annotated[
        str,
        Field(
            min_length=1,
            max_length=4096,
            examples=["opsr_d9WQ0x3pT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iOwE"],
        ),
    ]
    token_type_hint: (
        Annotated[str, Field(max_length=100, description="not needed", examples=["refresh_token"])]
        | None
    ) = None


class Nothing(BaseModel):
    """An empty object."""


class PublicKey(BaseModel):
    """An Ed25519 key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[
        str, fields.text(43, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "^[A-Za-z0-9_-]{43}$")
    ]
    kid: Annotated[str, fields.text(32, "ed25519-695", "^ed25519-([0-9a-f]{16}-)?[0-9]+$")]
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class PublicKeys(BaseModel):
    """A JSON Web Key Set."""

    keys: list[PublicKey] = Field(max_length=3 + 3 * MOST_SECRET_KEYS)


@_with_forms.post("/token", operation_id="createToken", response_model=TokenPair)
async def create_token(request: Request, body: Annotated[Credentials, Body()]) -> Response:
    """Sign a program in. A wrong password, an unknown user and an unknown organization get one
    answer, after the same work.
    """
    state: ApiState = request.app.state.api
    refresh_token = new_secret(REFRESH_TOKEN)
    also = partial(_add, token=refresh_token, lifetime=_lifetime(state))
    done = await sign_in(request, body, secret_hash=None, lifetime=_SIGN_IN_LIFETIME, also=also)
    return _pair(state, Grant(done.org_id, done.login.user_id, done.sign_in.id), refresh_token)


@_with_forms.post("/refresh", operation_id="refreshToken", response_model=TokenPair)
async def refresh(request: Request, body: Annotated[Refresh, Body()]) -> Response:
    """Exchange a refresh token, which is used up, for another pair."""
    state: ApiState = request.app.state.api
    org_id = await _org_of(state, body.refresh_token)
    if org_id is None:
        raise _refused()
    async with tenant(state.connections, org_id) as conn:
        exchanged = await _exchange(conn, state, body.refresh_token)
    if exchanged is None:  # after the transaction: what a reuse ends stays ended
        raise _refused()
    found, successor = exchanged
    return _pair(state, Grant(org_id, found.user_id, found.sign_in_id), successor)


router.routes.extend(_with_forms.routes)


@router.post("/revoke", operation_id="revokeToken", response_model=Nothing)
async def revoke(request: Request, body: Annotated[Revocation, Body()]) -> Response:
    """Revoke a token or an API key: ends the sign-in that a refresh token or an access token came
    from, or the key. Whoever has it may; the answer is the same for what never was one.
    """
    state: ApiState = request.app.state.api
    if body.token.startswith(API_KEY):
        await _revoke_key(state, body.token)
    elif body.token.startswith(REFRESH_TOKEN):
        await _revoke_refresh_token(state, body.token)
    else:
        await _revoke_access_token(state, body.token)
    return ok({})


@_well_known.get("/jwks.json", operation_id="getPublicKeys", response_model=PublicKeys)
async def public_keys(request: Request) -> Response:
    """Return the keys that tokens verify with now."""
    state: ApiState = request.app.state.api
    response = ok(state.tokens.key_set())
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


router.routes.extend(_well_known.routes)


async def _exchange(conn: Connection, state: ApiState, token: str) -> tuple[Presented, str] | None:
    """Return the successor of a refresh token, which has its row then. None where the token is not
    good; a reuse ends the sign-in.

    Whoever repeats a request gets the same successor again, also where it was derived from a
    secret key that is no longer the first one.
    """
    successors = {secret_hash(each): each for each in _successors(state, token)}
    found = await sign_ins.present_refresh_token(conn, secret_hash(token), list(successors), _GRACE)
    if found is None or found.is_over:
        return None
    successor_hash, successor = next(iter(successors.items()))
    if not found.was_used:
        await sign_ins.use_refresh_token(conn, secret_hash(token))
        await sign_ins.add_refresh_token(conn, found.sign_in_id, successor_hash, _lifetime(state))
        return found, successor
    if found.was_used_just_now and not found.next_was_used:
        # Whoever waited here for the one before does not see its row yet: that is of the first key.
        return found, successors.get(found.next_hash or b"", successor)
    await sign_ins.end(conn, found.sign_in_id)
    return None


async def _revoke_key(state: ApiState, key: str) -> None:
    async with state.connections.connection() as conn:
        principal = await credentials.of_api_key(conn, secret_hash(key))
    if principal is not None:
        async with tenant(state.connections, principal.org_id) as conn:
            await api_keys.revoke(conn, principal.credential_id)


async def _revoke_refresh_token(state: ApiState, token: str) -> None:
    org_id = await _org_of(state, token)
    if org_id is not None:
        async with tenant(state.connections, org_id) as conn:
            sign_in_id = await sign_ins.sign_in_of_refresh_token(conn, secret_hash(token))
            if sign_in_id is not None:
                await sign_ins.end(conn, sign_in_id)


async def _revoke_access_token(state: ApiState, token: str) -> None:
    try:
        grant = state.tokens.verify(token)
    except TokenError:
        return
    async with tenant(state.connections, grant.org_id) as conn:
        await sign_ins.end(conn, grant.sign_in_id)


async def _org_of(state: ApiState, token: str) -> UUID | None:
    async with state.connections.connection() as conn:
        return await credentials.org_of_refresh_token(conn, secret_hash(token))


async def _add(conn: Connection, begun: SignIn, *, token: str, lifetime: timedelta) -> None:
    await sign_ins.add_refresh_token(conn, begun.id, secret_hash(token), lifetime)


def _successors(state: ApiState, token: str) -> list[str]:
    """Return the refresh token that follows another, under each secret key."""
    keys = derived_keys(state.settings.secret_keys, b"refresh-tokens")
    message = token.encode("utf-8", "surrogatepass")
    return [written(REFRESH_TOKEN, hmac.digest(key, message, sha256)) for key in keys]


def _lifetime(state: ApiState) -> timedelta:
    return timedelta(seconds=state.settings.refresh_token_lifetime_s)


def _pair(state: ApiState, grant: Grant, refresh_token: str) -> Response:
    return ok(
        {
            "access_token": state.tokens.issue(grant),
            "token_type": "Bearer",
            "expires_in": state.tokens.lifetime_s,
            "refresh_token": refresh_token,
        }
    )


def _refused() -> Problem:
    return unauthorized("The refresh token is not valid or has expired: sign in again.")
