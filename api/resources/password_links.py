"""Passwords that are set by a link from a letter: an invitation, or a password reset.

A link is good once and for a limited time; only its hash is stored. Whoever sets a password by a
reset is signed out everywhere else.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.auth.passwords import Password, check_new_password
from api.context import ApiState
from api.http import fields
from api.http.encoding import accepted, id_text, ok
from api.http.problems import Problem
from api.request.route import PublicRoute
from api.resources.auth_tokens import Nothing
from api.resources.sign_in import address
from db.core.secrets import MAX_SECRET_CHARACTERS, secret_hash
from db.core.tenant import tenant
from db.delivery import mail_outbox
from db.identity import credentials, sign_ins, user_links, users
from db.identity.user_links import Purpose

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=PublicRoute)


class ResetRequest(fields.Body):
    """The user whose password is forgotten."""

    email: fields.SignInEmail
    organization_id: fields.OrganizationId


class NewPassword(fields.Body):
    """The token of the link, and a password."""

    token: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_SECRET_CHARACTERS,
            description="what stands behind #token= in the link",
            examples=["opsl_d9WQ0x3pT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iOwE"],
        ),
    ]
    password: Password


class Account(BaseModel):
    """The account to sign in with, beside the password."""

    organization_id: fields.OrganizationId
    email: fields.UserEmail


@router.post("/invitations/accept", operation_id="acceptInvitation", response_model=Account)
async def accept_invitation(request: Request, body: Annotated[NewPassword, Body()]) -> Response:
    """Set the first password of who was invited."""
    return ok(await _set_password(request, body, "invitation"))


@router.post(
    "/password-reset",
    operation_id="requestPasswordReset",
    status_code=202,
    response_model=Nothing,
)
async def request_reset(request: Request, body: Annotated[ResetRequest, Body()]) -> Response:
    """Mail a link to the user, if there is one: the answer is the same where there is none."""
    state: ApiState = request.app.state.api
    org_id, email = body.organization_id, address(body.email)
    await state.throttle.admit_address(request)
    if await state.throttle.admits_mail(org_id, email):
        async with tenant(state.connections, org_id) as conn:
            await mail_outbox.add(conn, "password_reset", email)
    return accepted({})


@router.post("/password-reset/confirm", operation_id="confirmPasswordReset", response_model=Account)
async def confirm_reset(request: Request, body: Annotated[NewPassword, Body()]) -> Response:
    """Set another password, and sign the user out everywhere."""
    return ok(await _set_password(request, body, "password_reset"))


async def _set_password(request: Request, body: NewPassword, purpose: Purpose) -> dict[str, Any]:
    state: ApiState = request.app.state.api
    token_hash = secret_hash(body.token)
    async with state.connections.connection() as conn:
        org_id = await credentials.org_of_link(conn, token_hash)
    if org_id is None:
        raise _no_such_link()
    async with tenant(state.connections, org_id) as conn:
        user_id = await user_links.holder(conn, token_hash, purpose)
        user = None if user_id is None else await users.table.find(conn, user_id)
    if user is None:
        raise _no_such_link()
    check_new_password(body.password, user.email, user.name)
    password_hash = await state.passwords.hash(body.password)
    async with tenant(state.connections, org_id) as conn:
        if await user_links.use(conn, token_hash, purpose) is None:
            raise _no_such_link()
        await users.set_password(conn, user.id, password_hash)
        await sign_ins.end_all(conn, user.id)
    await state.throttle.trust(request, org_id, user.email)
    return {"organization_id": id_text("org", org_id), "email": user.email}


def _no_such_link() -> Problem:
    return Problem(400, "link_not_good", "The link is not valid: it has been used or has expired.")
