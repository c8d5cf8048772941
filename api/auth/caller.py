"""The caller of a request, and the credential that it showed."""

from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from db.identity.users import Role

Via: TypeAlias = Literal["token", "api_key", "session"]


@dataclass(frozen=True, slots=True)
class Caller:
    """A user of an organization, by one of their credentials.

    `credential_id` is the API key, or the sign-in that an access token or a session comes from.
    `scopes` narrow a key; None is all that the role may.
    """

    org_id: UUID
    user_id: UUID
    role: Role
    via: Via
    credential_id: UUID
    scopes: frozenset[str] | None = None
