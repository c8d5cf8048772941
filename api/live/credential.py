"""The credential behind an open connection: what it was, so that it can be looked up again."""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from starlette.requests import HTTPConnection

from api.auth.caller import Caller
from api.auth.session_cookie import check_origin
from api.context import ApiState
from api.http.headers import authorization
from api.request.access import caller_by_bearer, caller_by_cookie, session_hash
from db.core.secrets import secret_hash
from db.identity.credentials import Principal


class LiveCredential(NamedTuple):
    """A caller, the key by which the database finds the caller's rights again, and, of an access
    token alone, when it expires.
    """

    caller: Caller
    key: bytes
    expires_at: datetime | None = None

    def has_expired(self, now: datetime) -> bool:
        """Return whether it is an access token whose time is over."""
        return self.expires_at is not None and self.expires_at <= now

    def with_rights(self, principal: Principal) -> "LiveCredential":
        """Return the same credential with its present role and scopes."""
        scopes = None if principal.scopes is None else frozenset(principal.scopes)
        if (principal.role, scopes) == (self.caller.role, self.caller.scopes):
            return self
        return self._replace(caller=replace(self.caller, role=principal.role, scopes=scopes))


async def credential_of_bearer(state: ApiState, text: str) -> LiveCredential:
    """Return the credential of an access token or an API key. Raises Problem (401)."""
    caller = await caller_by_bearer(state, text)
    if caller.via == "api_key":
        return LiveCredential(caller, secret_hash(text))
    key = caller.org_id.bytes + caller.credential_id.bytes
    return LiveCredential(caller, key, state.tokens.expires_at(text))


async def credential_of_cookie(state: ApiState, request: HTTPConnection) -> LiveCredential:
    """Return the credential of the dashboard's session. Raises Problem (401, or 403 where another
    site opened the connection: a browser sends cookies and Origin with each handshake).
    """
    caller, secret = await caller_by_cookie(state, request)
    check_origin(request)
    return LiveCredential(caller, session_hash(secret))


async def credential_of_request(state: ApiState, request: HTTPConnection) -> LiveCredential:
    """Return the credential of a request that was let in."""
    if "authorization" in request.headers:
        return await credential_of_bearer(state, authorization(request.headers)[1])
    return await credential_of_cookie(state, request)
