"""The dashboard's session: a cookie instead of a token (`api.auth.session_cookie`).

It ends when it was not used for a while, and at the latest a week after signing in.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.session_cookie import CSRF_HEADER, check_origin
from api.context import ApiState
from api.http import fields
from api.http.encoding import created, id_text, no_content, ok, time_text
from api.http.problems import unauthorized
from api.request.access import Access, Reader
from api.request.route import PublicRoute, UngatedRoute
from api.resources.sign_in import Credentials, sign_in
from db.core.connect import Connection
from db.core.secrets import SESSION, new_secret, secret_hash
from db.identity import sign_ins
from db.identity.sign_ins import SessionFacts, SignIn
from db.identity.users import Clock, Language, Role, Units

_PATH = "/v1/auth/session"
router = APIRouter(tags=["auth"], route_class=PublicRoute)
_signed_in = APIRouter(route_class=UngatedRoute)


class SessionItem(BaseModel):
    """The user who is signed in."""

    id: fields.SignInId
    organization_id: fields.OrganizationId
    user_id: fields.UserId
    role: Role
    csrf_token: str = Field(
        description=f"to be sent as {CSRF_HEADER} with what changes something",
        pattern="^[A-Za-z0-9_-]{43}$",
        max_length=43,
        examples=["d9WQ0x3pT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iOwE"],
    )
    expires_at: datetime = Field(description="when it ends, however much it is used")
    language: Language | None = Field(
        description="the user's, else the organization's; null: the browser's"
    )
    units: Units | None = Field(description="null: metric")
    clock: Clock | None = Field(description="null: the usual one of the language")
    timezone: fields.TimeZone | None = Field(description="null: the browser's")


@router.post(_PATH, operation_id="createSession", status_code=201, response_model=SessionItem)
async def create_session(request: Request, body: Annotated[Credentials, Body()]) -> Response:
    """Sign a person in: the answer sets the cookie."""
    check_origin(request)
    state: ApiState = request.app.state.api
    secret = new_secret(SESSION)
    lifetime_s = state.settings.session_lifetime_s
    sessions: list[SessionFacts] = []

    async def read_session(conn: Connection, begun: SignIn) -> None:
        sessions.append(await sign_ins.find_session(conn, begun.id))

    done = await sign_in(
        request,
        body,
        secret_hash=secret_hash(secret),
        lifetime=timedelta(seconds=lifetime_s),
        also=read_session,
    )
    item = {
        "id": id_text("sgn", done.sign_in.id),
        "organization_id": id_text("org", done.org_id),
        "user_id": id_text("usr", done.login.user_id),
        "role": done.login.role,
        "csrf_token": state.cookies.csrf_token(secret),
        **_shown(sessions[0]),
    }
    response = created(item, _PATH)
    response.headers["Location"] = _PATH
    state.cookies.write(request, response, secret, lifetime_s)
    return response


@_signed_in.get(_PATH, operation_id="getSession", response_model=SessionItem)
async def get_session(request: Request, access: Reader) -> Response:
    """Show who is signed in by the cookie."""
    caller = access.caller
    secret = _secret(request, access)
    async with access.transaction() as conn:
        session = await sign_ins.find_session(conn, caller.credential_id)
    return ok(
        {
            "id": id_text("sgn", caller.credential_id),
            "organization_id": id_text("org", caller.org_id),
            "user_id": id_text("usr", caller.user_id),
            "role": caller.role,
            "csrf_token": access.state.cookies.csrf_token(secret),
            **_shown(session),
        }
    )


@_signed_in.delete(_PATH, operation_id="deleteSession", status_code=204)
async def delete_session(request: Request, access: Reader) -> Response:
    """Sign out."""
    _secret(request, access)
    async with access.transaction() as conn:
        await sign_ins.end(conn, access.caller.credential_id)
    response = no_content()
    access.state.cookies.write(request, response, "", 0)
    return response


def _shown(session: SessionFacts) -> dict[str, Any]:
    return session._asdict() | {"expires_at": time_text(session.expires_at)}


def _secret(request: Request, access: Access) -> str:
    secret = access.state.cookies.read(request)
    if access.caller.via != "session" or secret is None:
        raise unauthorized("There is no session: the request has another credential.")
    return secret


router.include_router(_signed_in)
