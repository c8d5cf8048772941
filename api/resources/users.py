"""Users of the organization. An admin invites them; each sees to their own name, password, language
and display.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.auth.passwords import Password, check_new_password
from api.http import fields
from api.http.encoding import accepted, created, id_text, no_content, ok
from api.http.problems import Problem, bad_field, conflict
from api.request.access import Access, Admin, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.table import db_now
from db.core.wakeups import Channel
from db.delivery import mail_outbox
from db.identity import api_keys, sign_ins, user_links, users
from db.identity.users import Clock, Language, Role, Units, User
from db.resources.quotas import check_room, count_letter

router = APIRouter(prefix="/v1/users", tags=["users"], route_class=TenantRoute)
_UserPath = Annotated[fields.UserId, Path(alias="id")]
_Name = Annotated[fields.Name, Field(examples=["Anna Keller"])]
# How pages and letters are written for a user.
_Language = Annotated[Language | None, Field(description="null: the organization's")]
_Units = Annotated[Units | None, Field(description="null: metric")]
_Clock = Annotated[Clock | None, Field(description="null: the usual one of the language")]
_TimeZone = Annotated[fields.TimeZone | None, Field(description="null: the browser's")]


class UserItem(BaseModel):
    """A user."""

    id: fields.UserId
    email: fields.UserEmail
    name: _Name | None
    role: Role
    active: bool = Field(description="false: may not sign in, and neither may their API keys")
    deactivated_at: datetime | None = Field(
        description="when their rights ended, or will: at the end of the day on which their"
        " employee leaves; null: they stay"
    )
    invited: bool = Field(description="true: has not accepted the invitation yet")
    service: bool = Field(description="true: a user of programs, who has API keys and no password")
    created_at: datetime
    updated_at: datetime


class MyselfItem(UserItem):
    """Return the user who asks."""

    organization_id: fields.OrganizationId
    language: _Language
    units: _Units
    clock: _Clock
    timezone: _TimeZone


class NewUser(fields.Body):
    """The user to invite, or a user of programs."""

    email: fields.UserEmail
    role: Role
    name: _Name | None = None
    service: bool = Field(
        default=False, description="no letter is sent, and nobody signs in: programs have API keys"
    )


class UserChange(fields.Body):
    """The fields to change."""

    name: _Name | None = None
    role: Role = Field(default_factory=fields.absent)
    active: bool = Field(default_factory=fields.absent, examples=[True])


class MyChange(fields.Body):
    """The fields to change; a new password needs the present one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Anna Keller"}]})

    name: _Name | None = None
    language: _Language = None
    units: _Units = None
    clock: _Clock = None
    timezone: _TimeZone = None
    password: Password = Field(default_factory=fields.absent)
    current_password: Password = Field(default_factory=fields.absent)


class UserQuery(SortedQuery):
    """The filters of users."""

    active: bool | None = None


_users = Resource(
    users.table,
    item_of(
        UserItem,
        active=lambda user: user.is_active,
        invited=lambda user: user.is_invited,
        service=lambda user: user.is_service,
    ),
)


@router.get("/me", operation_id="getCurrentUser", response_model=MyselfItem)
async def get_myself(access: Reader) -> Response:
    """Return the user who asks."""
    async with access.transaction() as conn:
        return ok(_myself(access, await _users.found(conn, access.caller.user_id)))


@router.patch("/me", operation_id="updateCurrentUser", response_model=MyselfItem)
async def update_myself(
    request: Request, access: Reader, body: Annotated[MyChange, Body()]
) -> Response:
    """Change what is one's own. A new password signs out everywhere but here."""
    given = body.given()
    given.pop("current_password", None)
    password_hash = None
    if given.pop("password", None) is not None:
        password_hash = await _new_password(request, access, body)
    async with access.transaction() as conn:
        user = await _users.found(conn, access.caller.user_id, lock=True)
        access.check_unchanged(_myself(access, user))
        if (changed := user._replace(**given)) != user:
            user = await _users.write(conn, changed)
        if password_hash is not None:
            await users.set_password(conn, user.id, password_hash)
            await user_links.end_all(conn, user.id)
            await sign_ins.end_all(conn, user.id, but=access.caller.credential_id)
            user = await _users.found(conn, user.id)
    return ok(_myself(access, user))


@router.post("/me/sign-out", operation_id="signOutCurrentUser", status_code=204)
async def sign_out_everywhere(access: Reader) -> Response:
    """End all one's sessions and tokens, this one included; API keys stay."""
    async with access.transaction() as conn:
        await sign_ins.end_all(conn, access.caller.user_id)
    return no_content()


@router.get("", operation_id="listUsers", response_model=ListOf[UserItem])
async def list_users(access: Admin, query: Annotated[UserQuery, Query()]) -> Response:
    """List users, newest first."""
    return await _users.list(access, query)


@router.post("", operation_id="createUser", status_code=201, response_model=UserItem)
async def create_user(access: Admin, body: Annotated[NewUser, Body()]) -> Response:
    """Invite somebody: a letter with a link goes to the address. A user of programs gets none."""
    given = body.model_dump(exclude={"service"})
    given |= {"is_invited": not body.service, "is_service": body.service, "is_active": True}
    user = _users.new(given, datetime.now(UTC))
    async with access.transaction() as conn:
        await check_room(conn, "users")
        if not body.service:
            await count_letter(conn)
        await users.table.insert(conn, user)
        if not body.service:
            await mail_outbox.add(conn, "invitation", user.email)
    return created(_users.item(user), router.prefix)


@router.get("/{id}", operation_id="getUser", response_model=UserItem)
async def get_user(access: Admin, user_id: _UserPath) -> Response:
    """Return one user."""
    return await _users.get(access, user_id)


@router.patch("/{id}", operation_id="updateUser", response_model=UserItem)
async def update_user(
    access: Admin, user_id: _UserPath, body: Annotated[UserChange, Body()]
) -> Response:
    """Change the fields that are given; another role counts within two seconds."""
    async with access.transaction() as conn:
        return ok(_users.item(await _change(access, conn, user_id, body.given())))


@router.delete("/{id}", operation_id="deleteUser", status_code=204)
async def delete_user(access: Admin, user_id: _UserPath) -> Response:
    """Deactivate a user, as PATCH with `active: false` does; what they did stays."""
    async with access.transaction() as conn:
        await _change(access, conn, user_id, {"active": False})
    return no_content()


@router.post(
    "/{id}/invitation", operation_id="sendUserInvitation", status_code=202, response_model=UserItem
)
async def invite_user(access: Admin, user_id: _UserPath) -> Response:
    """Send the invitation once more."""
    async with access.transaction() as conn:
        user = await _users.found(conn, user_id)
        if not user.is_invited or not user.is_active:
            raise conflict(
                "not_invited", "The user is deactivated or has already accepted the invitation."
            )
        await count_letter(conn)
        await mail_outbox.add(conn, "invitation", user.email)
    return accepted(_users.item(user))


@router.post("/{id}/sign-out", operation_id="signOutUser", status_code=204)
async def sign_user_out(access: Admin, user_id: _UserPath) -> Response:
    """End all sessions and tokens of a user; API keys stay."""
    async with access.transaction() as conn:
        await _users.found(conn, user_id)
        await sign_ins.end_all(conn, user_id)
    return no_content()


async def _new_password(request: Request, access: Access, body: MyChange) -> str:
    """Hash the new password, for a user who knows the old one."""
    caller, state = access.caller, access.state
    if "current_password" not in body.given():
        raise bad_field("/current_password", "The current password is required.")
    async with access.transaction() as conn:
        user, login = (
            await _users.found(conn, caller.user_id),
            await users.login_of(conn, caller.user_id),
        )
    counted = await state.throttle.admit_user(request, caller.org_id, user.email)
    password_hash = login.password_hash if login else None
    if not await state.passwords.verify(password_hash, body.current_password):
        raise Problem(403, "wrong_password", "The current password is wrong.")
    await state.throttle.succeeded(counted)
    check_new_password(body.password, user.email, user.name)
    return await state.passwords.hash(body.password)


async def _change(access: Access, conn: Connection, user_id: UUID, given: dict[str, Any]) -> User:
    admins = await users.hold_admins(conn) if {"role", "active"} & given.keys() else set[UUID]()
    user = await _users.found(conn, user_id, lock=True)
    access.check_unchanged(_users.item(user))
    changed = user._replace(name=given.get("name", user.name), role=given.get("role", user.role))
    if given.get("active", user.is_active) != user.is_active:
        at = None if given["active"] else await db_now(conn)  # by the clock that compares it
        changed = changed._replace(deactivated_at=at, is_active=given["active"])
    if changed == user:
        return user
    is_admin = changed.role == "admin" and changed.deactivated_at is None
    if admins == {user_id} and not is_admin:
        raise conflict(
            "last_admin", "This is the last active admin: make another user an admin first."
        )
    changed = changed._replace(updated_at=datetime.now(UTC))
    await users.table.update(conn, changed)
    if (changed.role, changed.deactivated_at) != (user.role, user.deactivated_at):
        conn.note(Channel.RIGHTS, access.caller.org_id)
    if changed.is_active != user.is_active:  # also what ended by time does not come back to life
        await end_credentials(conn, user_id)
    return changed


async def end_credentials(conn: Connection, user_id: UUID) -> None:
    """End the sessions, tokens, API keys and mailed links of a user."""
    await sign_ins.end_all(conn, user_id)
    await api_keys.revoke_all(conn, user_id)
    await user_links.end_all(conn, user_id)


def _myself(access: Access, user: User) -> dict[str, Any]:
    return _users.item(user) | {
        "organization_id": id_text("org", access.caller.org_id),
        "language": user.language,
        "units": user.units,
        "clock": user.clock,
        "timezone": user.timezone,
    }
