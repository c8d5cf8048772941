"""Who may do what, and the one transaction in which a request does it.

`Reader`, `Dispatcher` and `Admin` are the types of a handler's `access` parameter: naming one is
what protects a route. A viewer and a technician read, a dispatcher also writes, and what is sent
out of the house (webhook endpoints) is the admin's.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as HttpBearerModel
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from api.callers import Caller
from api.edge import request_id
from api.etags import Preconditions
from api.idempotency import Attempt
from api.problems import forbidden, unauthorized
from api.state import ApiState
from api.tokens import TokenError
from api.wire import item_tag
from db.connect import Connection
from db.tenant import Actor, tenant
from db.users import Role


@dataclass(frozen=True, slots=True)
class Access:
    """A caller who may, and what the application has."""

    caller: Caller
    state: ApiState
    preconditions: Preconditions
    request_id: str
    attempt: Attempt | None

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction of the caller's organization; commits at its end, or together with the
        answer where the request has an Idempotency-Key."""
        caller = self.caller
        actor = Actor(caller.user_id, caller.via, caller.credential_id, self.request_id)
        transaction = tenant(self.state.connections, caller.org_id, actor)
        return transaction if self.attempt is None else self.attempt.transaction(transaction)

    def check_unchanged(self, item: object) -> None:
        """Raises Problem (412) where the client wants to change something else than `item`, which
        is what a GET would show of the row that is to be changed, read under a lock."""
        if self.preconditions != Preconditions():
            self.preconditions.check(item_tag(item))


async def authenticate(request: Request) -> None:
    """Finds out who asks, for `Permission` to judge. Raises Problem (401)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token:
        raise unauthorized("A bearer token is needed in the Authorization header.")
    if scheme.lower() != "bearer":
        raise unauthorized("The scheme of the Authorization header must be Bearer.")
    state: ApiState = request.app.state.api
    try:
        request.state.caller = state.tokens.verify(token.strip())
    except TokenError as error:
        raise unauthorized(str(error)) from None


class Permission(SecurityBase):
    """Lets the given roles in; any other gets a 403."""

    def __init__(self, *roles: Role) -> None:
        self.model = HttpBearerModel(bearerFormat="JWT")
        self.scheme_name = "bearer"
        self._roles = frozenset(roles)

    async def __call__(self, request: Request) -> Access:
        caller: Caller = request.state.caller
        if caller.role not in self._roles:
            raise forbidden(f"The role {caller.role} may not do this.")
        return Access(
            caller,
            request.app.state.api,
            Preconditions.of(request),
            request_id(request),
            getattr(request.state, "attempt", None),
        )


Reader = Annotated[Access, Depends(Permission("viewer", "technician", "dispatcher", "admin"))]
Dispatcher = Annotated[Access, Depends(Permission("dispatcher", "admin"))]
Admin = Annotated[Access, Depends(Permission("admin"))]
