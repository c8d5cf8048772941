"""Signing in: an address, a password and an organization against an access token."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api import fields
from api.callers import Caller
from api.passwords import MAX_PASSWORD_CHARACTERS
from api.problems import unauthorized
from api.routes import PublicRoute
from api.state import ApiState
from api.wire import ok
from db import users
from db.ids import new_id
from db.tenant import tenant

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=PublicRoute)


class SignIn(fields.Body):
    """What is asked of who signs in."""

    email: Annotated[str, Field(min_length=3, max_length=254, examples=["boss@example.com"])]
    password: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_PASSWORD_CHARACTERS,
            examples=["correct horse battery staple"],
        ),
    ]
    organization_id: fields.OrganizationId


class AccessToken(BaseModel):
    """A bearer token."""

    access_token: str = Field(
        max_length=4_096,
        pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
        examples=["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3IifQ.c2lnbmF0dXJl"],
    )
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="seconds", ge=1, le=2**31 - 1, examples=[3600])


@router.post("/token", operation_id="createToken", response_model=AccessToken)
async def create_token(request: Request, body: Annotated[SignIn, Body()]) -> Response:
    """A token for a user. A wrong password, an unknown user and an unknown organization get one
    answer, after the same work."""
    state: ApiState = request.app.state.api
    async with tenant(state.connections, body.organization_id) as conn:
        login = await users.find_login(conn, _address(body.email))
    fits = await state.passwords.verify(login.password_hash if login else None, body.password)
    if login is None or not fits:
        raise unauthorized("The email, the password or the organization is wrong.")
    caller = Caller(body.organization_id, login.user_id, login.role, "token", new_id())
    return ok(
        {
            "access_token": state.tokens.issue(caller),
            "token_type": "Bearer",
            "expires_in": state.tokens.lifetime_s,
        }
    )


def _address(email: str) -> str:
    """As it is stored: in lower case. A NUL, which no stored text has, matches nobody."""
    return email.strip().lower().replace("\x00", "\ufffd")
