"""What signing in takes, whatever it gives: an address, a password, an organization.

A wrong password, an unknown user, one who is deactivated or invited, and an unknown organization
get one answer, after the same work.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from starlette.requests import Request

from api import fields
from api.password_rules import Password
from api.problems import Problem, unauthorized
from api.state import ApiState
from db import sign_ins, users
from db.connect import Connection
from db.ids import new_id
from db.sign_ins import SignIn
from db.tenant import tenant
from db.users import Login


class Credentials(fields.Body):
    """What is asked of who signs in."""

    email: fields.SignInEmail
    password: Password
    organization_id: fields.OrganizationId


async def sign_in(
    request: Request,
    body: Credentials,
    *,
    secret_hash: bytes | None,
    lifetime: timedelta,
    also: Callable[[Connection, SignIn], Awaitable[None]] | None = None,
) -> tuple[SignIn, Login]:
    """Begins a sign-in of a user who gave the right password; `also` is in its transaction.

    Raises Problem (401, or 429 where too many attempts failed).
    """
    state: ApiState = request.app.state.api
    org_id, email = body.organization_id, address(body.email)
    of_address = await state.throttle.admit_address(request)
    of_user = await state.throttle.admit_user(request, org_id, email)
    login = await _checked(state, body, email)
    begun = SignIn(new_id(), login.user_id, secret_hash, lifetime)
    async with tenant(state.connections, org_id) as conn:
        if not await sign_ins.begin(conn, begun, login.password_hash):
            raise _wrong()
        if also is not None:
            await also(conn, begun)
    await state.throttle.succeeded(of_address, of_user)
    await state.throttle.trust(request, org_id, email)
    return begun, login


async def _checked(state: ApiState, body: Credentials, email: str) -> Login:
    async with tenant(state.connections, body.organization_id) as conn:
        login = await users.find_login(conn, email)
    fits = await state.passwords.verify(login.password_hash if login else None, body.password)
    if login is None or not fits:
        raise _wrong()
    return login


def _wrong() -> Problem:
    return unauthorized("The email, the password or the organization is wrong.")


def address(email: str) -> str:
    """As it is stored: in lower case. A NUL, which no stored text has, matches nobody."""
    return email.strip().lower().replace("\x00", "\ufffd")
