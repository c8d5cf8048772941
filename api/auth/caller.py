"""The caller of a request, how it proved itself, and what an API key may do: `assets:read`,
`zones:write`, `*:read`.

Which scope a route needs follows from its resource (the tag of its operation) and its method, here
and nowhere else: a new resource has its two scopes at once. Writing includes reading. A star stands
for every resource, but in writing not for users, and no narrowed key may write keys: either would
be a way to all rights.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

from db.identity.users import Role

Via: TypeAlias = Literal["token", "api_key", "session"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SCOPE_PATTERN = r"^(\*|[a-z]+(-[a-z]+)*):(read|write)$"
_NOT_BY_STAR = frozenset({"users"})
_NEVER_WRITTEN = frozenset({"api-keys"})
_WITHOUT_SCOPES = frozenset({"auth"})


@dataclass(frozen=True, slots=True)
class Caller:
    """A user of an organization, by one of their credentials.

    `credential_id` is the API key, or the sign-in that an access token or a session comes from.
    `scopes` narrow a key; None is all that the role may. `maker_id` is who made the key, and so
    knows it; None of other credentials, and where it is not known.
    """

    org_id: UUID
    user_id: UUID
    role: Role
    via: Via
    credential_id: UUID
    scopes: frozenset[str] | None = None
    maker_id: UUID | None = None

    @property
    def sees_all(self) -> bool:
        """Whether the role sees the hours of everybody, and all that is kept for few."""
        return sees_all(self.role)

    @property
    def own_hours_of(self) -> UUID | None:
        """The user, where they read the hours of their own employee alone; None: they read
        everybody's.
        """
        return None if self.sees_all else self.user_id


def sees_all(role: Role) -> bool:
    """Return whether a role sees what viewers and technicians do not: what work costs, the hours of
    others, the evidence of customers.
    """
    return role in ("dispatcher", "admin")


def known_scopes(resources: Iterable[str]) -> frozenset[str]:
    """Return all scopes that the operations of these resources may need."""
    scoped = set(resources) - _WITHOUT_SCOPES
    reading = {f"{resource}:read" for resource in scoped}
    writing = {f"{resource}:write" for resource in scoped - _NEVER_WRITTEN}
    return frozenset(reading | writing | {"*:read", "*:write"})


def needed_scope(resource: str, method: str) -> str:
    """Return the narrowest scope that lets a request through."""
    return f"{resource}:{'read' if method in SAFE_METHODS else 'write'}"


def lets_through(scopes: frozenset[str], needed: str) -> bool:
    """Return whether a key with these scopes may do what needs `needed`."""
    resource, _, action = needed.partition(":")
    if resource in _NEVER_WRITTEN and action == "write":
        return False
    enough = {needed, f"{resource}:write"}
    if action == "read":
        enough |= {"*:read", "*:write"}
    elif resource not in _NOT_BY_STAR:
        enough.add("*:write")
    return not scopes.isdisjoint(enough)
