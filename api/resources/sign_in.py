"""The parts that all sign-ins share: an address, a password, an organization.

The organization may be left out where the address belongs to one alone.

A wrong password, an unknown user, one who is deactivated or invited, and an unknown organization
get one answer, after the same work.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from pydantic import Field
from starlette.requests import Request

from api.auth.caller import Via
from api.auth.passwords import Password
from api.context import ApiState
from api.http import fields
from api.http.middleware import request_id
from api.http.problems import Problem, unauthorized
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.tenant import Actor, tenant
from db.identity import credentials, sign_ins, users
from db.identity.sign_ins import SignIn
from db.identity.users import Login

_NOBODYS = UUID(int=0)


class Credentials(fields.Body):
    """The credentials that a sign-in needs."""

    email: fields.SignInEmail
    password: Password
    organization_id: fields.OrganizationId | None = Field(
        default=None, description="needed where the address belongs to several organizations"
    )


class SignedIn(NamedTuple):
    """A sign-in that has begun."""

    org_id: UUID
    sign_in: SignIn
    login: Login


async def sign_in(
    request: Request,
    body: Credentials,
    *,
    secret_hash: bytes | None,
    lifetime: timedelta,
    also: Callable[[Connection, SignIn], Awaitable[None]] | None = None,
) -> SignedIn:
    """Begin a sign-in of a user who gave the right password; `also` is in its transaction.

    Raises Problem (401, or 429 where too many attempts failed).
    """
    state: ApiState = request.app.state.api
    email = address(body.email)
    of_address = await state.throttle.admit_address(request)
    org_id = body.organization_id or await _org_of(state, email)
    of_user = await state.throttle.admit_user(request, org_id, email)
    login = await _checked(state, org_id, body, email)
    begun = SignIn(new_id(), login.user_id, secret_hash, lifetime)
    via: Via = "token" if secret_hash is None else "session"
    actor = Actor(begun.user_id, via, begun.id, request_id(request))
    async with tenant(state.connections, org_id, actor) as conn:
        if not await sign_ins.begin(conn, begun, login.password_hash):
            raise _wrong(body)
        if also is not None:
            await also(conn, begun)
    await state.throttle.succeeded(of_user, of_address)
    await state.throttle.trust(request, org_id, email)
    return SignedIn(org_id, begun, login)


async def _org_of(state: ApiState, email: str) -> UUID:
    async with state.connections.connection() as conn:
        return await credentials.org_of_email(conn, email) or _NOBODYS


async def _checked(state: ApiState, org_id: UUID, body: Credentials, email: str) -> Login:
    async with tenant(state.connections, org_id) as conn:
        login = await users.find_login(conn, email)
    fits = await state.passwords.verify(login.password_hash if login else None, body.password)
    if login is None or not fits:
        raise _wrong(body)
    return login


def _wrong(body: Credentials) -> Problem:
    if body.organization_id is not None:
        return unauthorized("The email, the password or the organization is wrong.")
    return unauthorized(
        "The email or the password is wrong, or the email belongs to several organizations:"
        " then give organization_id."
    )


def address(email: str) -> str:
    """Return an address as it is stored: in lower case. A NUL, which no stored text has, matches
    nobody.
    """
    return email.strip().lower().replace("\x00", "\ufffd")
