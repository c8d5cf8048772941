"""The permission of a caller, and the one transaction in which a request does its work.

`Reader`, `Technician`, `Dispatcher` and `Admin` are the types of a handler's `access` parameter:
the type is what protects a route. Everybody reads. A technician also writes what is their own
(`Access.check_own`). A dispatcher writes for everybody. Only an admin changes users, API keys and
webhook endpoints, which send data out of the system. Nobody approves or reviews what is their own
(`Access.check_not_own`). A thing is a user's own if it belongs to the employee that the user is
linked to. The role is the user's present one, whichever role they had when the credential was made;
an API key may be narrower (`api.auth.caller`).

`HistoryReader` is a reader of history, who may be served by a standby (`db.core.standby`).
"""

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Annotated, Self
from uuid import UUID

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as HttpBearerModel
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection, Request

from api.auth.access_tokens import TokenError
from api.auth.caller import Caller, Via, lets_through, needed_scope
from api.context import ApiState
from api.http.encoding import item_tag
from api.http.etags import Preconditions
from api.http.headers import authorization
from api.http.middleware import request_id
from api.http.problems import Problem, forbidden, unauthorized
from api.http.server import KNOWN_EXTENSION
from api.request.idempotency import KeyedRequest
from db.core.connect import Connection
from db.core.secrets import API_KEY, MAX_SECRET_CHARACTERS, secret_hash
from db.core.standby import HistoryReads
from db.core.tenant import Actor, reading, tenant
from db.identity import credentials
from db.identity.credentials import Principal
from db.identity.users import Role

POSITION = "OPSC-Position"
_DIGITS = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Access:
    """A caller who may use the route, with what the application shares (`ApiState`)."""

    caller: Caller
    state: ApiState
    preconditions: Preconditions
    request_id: str
    keyed: KeyedRequest | None
    reads: bool
    history: HistoryReads | None = None

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Open one transaction of the caller's organization, which commits at its end, or together
        with the answer where the request has an Idempotency-Key. For a GET, what only reads; of
        history by a standby, if there is one, and then raises StandbyFailed.
        """
        caller = self.caller
        if self.history is not None:
            return self.history.transaction()
        if self.reads:
            return reading(self.state.connections, caller.org_id)
        actor = Actor(caller.user_id, caller.via, caller.credential_id, self.request_id)
        transaction = tenant(self.state.connections, caller.org_id, actor)
        return transaction if self.keyed is None else self.keyed.transaction(transaction)

    def by_primary(self) -> Self:
        """Return the same for what a standby must not answer."""
        return replace(self, history=None)

    def check_unchanged(self, item: object) -> None:
        """Raise Problem (412) where the client wants to change something else than `item`, which is
        what a GET would show of the row that is to be changed, read under a lock.
        """
        if self.preconditions != Preconditions():
            self.preconditions.check(item_tag(item))

    def check_scope(self, needed: str) -> None:
        """Raise Problem (403) where the caller's key has not a scope that what the request makes
        needs beside that of its path.
        """
        _check_scope(self.caller, needed)

    @property
    def sees_all(self) -> bool:
        """The caller is a dispatcher or an admin (`api.auth.caller.sees_all`)."""
        return self.caller.sees_all

    @property
    def is_technician(self) -> bool:
        """The caller is a technician: they write what is their own."""
        return self.caller.role == "technician"

    def is_own(self, user_id: UUID | None) -> bool:
        """Return whether a thing is the caller's own. user_id: the user of its employee."""
        return user_id == self.caller.user_id

    def is_of_caller_or_maker(self, user_id: UUID | None) -> bool:
        """Return whether a thing is the caller's own, or its user made the API key by which they
        ask: nobody judges their own things by the key of somebody else.
        """
        return user_id is not None and user_id in (self.caller.user_id, self.caller.maker_id)

    def check_own(self, user_id: UUID | None, things: str) -> None:
        """Raise Problem (403) where a technician wants to write what is not their own. things: what
        it is, in the plural.
        """
        if self.is_technician and not self.is_own(user_id):
            detail = f"A technician may only write {things} of their own: of the employee who has"
            raise forbidden(f"{detail} the technician's user_id.")

    def check_not_own(self, user_id: UUID | None, does: str) -> None:
        """Raise Problem (403) where the caller wants to judge what is their own. does: what nobody
        does, like "reviews punches".
        """
        if self.is_of_caller_or_maker(user_id):
            raise forbidden(f"Nobody {does} of their own: ask another dispatcher or admin.")


async def authenticate(request: Request) -> None:
    """Find out who asks, for `Permission` to judge. Raises Problem (401, or 403 for a request that
    another site may have made).

    An Authorization header decides alone: a cookie beside it is not looked at.
    """
    state: ApiState = request.app.state.api
    if "authorization" in request.headers:
        caller = await _by_header(state, request)
    else:
        caller = await _by_cookie(state, request)
    state.usage.note(caller)
    request.state.caller = caller
    request.scope["extensions"][KNOWN_EXTENSION](caller.org_id)


async def _by_header(state: ApiState, request: Request) -> Caller:
    scheme, text = authorization(request.headers)
    if not text:
        raise unauthorized("A bearer token is needed in the Authorization header.")
    if scheme != "bearer":
        raise unauthorized("The scheme of the Authorization header must be Bearer.")
    return await caller_by_bearer(state, text)


async def caller_by_bearer(state: ApiState, text: str) -> Caller:
    """Return the caller of an access token or an API key. Raises Problem (401)."""
    return await (_by_key(state, text) if text.startswith(API_KEY) else _by_token(state, text))


async def _by_token(state: ApiState, token: str) -> Caller:
    try:
        grant = state.tokens.verify(token)
    except TokenError as error:
        raise unauthorized(str(error)) from None
    look_up = partial(credentials.of_sign_in, org_id=grant.org_id, sign_in_id=grant.sign_in_id)
    key = grant.org_id.bytes + grant.sign_in_id.bytes
    principal = await state.principals.find(key, look_up)
    if principal is None:
        raise unauthorized("The token was revoked: sign in again.")
    return _caller(principal, "token")


async def _by_key(state: ApiState, key: str) -> Caller:
    if len(key) <= MAX_SECRET_CHARACTERS:
        key_hash = secret_hash(key)
        look_up = partial(credentials.of_api_key, key_hash=key_hash)
        principal = await state.principals.find(key_hash, look_up)
        if principal is not None:
            return _caller(principal, "api_key")
    raise unauthorized("The API key is not one of ours, or no longer good.")


async def _by_cookie(state: ApiState, request: Request) -> Caller:
    caller, secret = await caller_by_cookie(state, request)
    state.cookies.check(request, secret)
    return caller


async def caller_by_cookie(state: ApiState, request: HTTPConnection) -> tuple[Caller, str]:
    """Return the caller of the dashboard's session, and the session's secret. Raises Problem (401).

    The request may still have been made by another site (`api.auth.session_cookie`).
    """
    secret = state.cookies.read(request)
    if secret is None:
        raise unauthorized("A bearer token is needed in the Authorization header.")
    idle = timedelta(seconds=state.settings.session_idle_s)
    cookie_hash = session_hash(secret)
    look_up = partial(credentials.of_session, cookie_hash=cookie_hash, idle=idle)
    principal = await state.principals.find(cookie_hash, look_up)
    if principal is None:
        raise unauthorized("The session is over: sign in again.")
    return _caller(principal, "session"), secret


def session_hash(secret: str) -> bytes:
    """Return the hash by which a session is found."""
    return secret_hash(secret[: MAX_SECRET_CHARACTERS + 1])


def _caller(principal: Principal, via: Via) -> Caller:
    return Caller(
        org_id=principal.org_id,
        user_id=principal.user_id,
        role=principal.role,
        via=via,
        credential_id=principal.credential_id,
        scopes=None if principal.scopes is None else frozenset(principal.scopes),
        maker_id=principal.made_by,
    )


def _check_scope(caller: Caller, needed: str) -> None:
    if caller.scopes is not None and not lets_through(caller.scopes, needed):
        raise Problem(403, "scope_missing", f"The API key has not the scope {needed}.")


class Permission(SecurityBase):
    """The permission of the given roles; any other gets a 403, and so does a key
    without the scope. reads_history: a standby may answer.
    """

    def __init__(self, *roles: Role, reads_history: bool = False) -> None:
        self.model = HttpBearerModel(bearerFormat="JWT")
        self.scheme_name = "bearer"
        self._roles = frozenset(roles)
        self.reads_history = reads_history

    def __call__(self, request: Request) -> Access:
        caller: Caller = request.state.caller
        if caller.role not in self._roles:
            raise forbidden(f"The role {caller.role} may not do this.")
        if caller.scopes is not None:
            resource = request.app.state.resources[request.scope["route"].operation_id]
            _check_scope(caller, needed_scope(resource, request.method))
        return Access(
            caller,
            request.app.state.api,
            Preconditions.of(request),
            request_id(request),
            getattr(request.state, "keyed", None),
            request.method == "GET",
            _history(request) if self.reads_history else None,
        )


def _history(request: Request) -> HistoryReads | None:
    """Return the reads of a request, the same where its handler runs again; None: there is no
    standby. Raises Problem (400).
    """
    position = _position(request)
    standby = request.app.state.api.standby
    if standby is None:
        return None
    if not hasattr(request.state, "history"):
        request.state.history = HistoryReads(standby, request.state.caller.org_id, position)
    return request.state.history


def _position(request: Request) -> int:
    """Return the position that the answer has to show; 0 where the client names none. Raises
    Problem (400).
    """
    given = request.headers.get(POSITION, "0")
    if not _DIGITS.fullmatch(given):
        detail = f"{POSITION} must be a number, as the answer to a change has it."
        raise Problem(400, "invalid_position", detail)
    return int(given)


_ANYBODY: tuple[Role, ...] = ("viewer", "technician", "dispatcher", "admin")
Reader = Annotated[Access, Depends(Permission(*_ANYBODY))]
HistoryReader = Annotated[Access, Depends(Permission(*_ANYBODY, reads_history=True))]
Technician = Annotated[Access, Depends(Permission("technician", "dispatcher", "admin"))]
Dispatcher = Annotated[Access, Depends(Permission("dispatcher", "admin"))]
Admin = Annotated[Access, Depends(Permission("admin"))]
