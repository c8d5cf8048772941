"""The headers of a limit: RateLimit, and 429 with Retry-After.

The headers are those of draft-ietf-httpapi-ratelimit-headers, structured fields (RFC 9651).
"""

import math
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import HTTPConnection

from api.http.problems import Problem

Policy = Literal["organization", "user", "address"]
_SCOPE_KEY = "opsc.rate_limit"


@dataclass(frozen=True, slots=True)
class Quota:
    """The state of a quota after a request.

    reset_s: until the full quota of `per_minute` is available again. retry_s: until the next
    request is allowed; 0 if this one is.
    """

    policy: Policy
    per_minute: int
    remaining: int
    reset_s: float
    retry_s: float = 0.0

    @property
    def is_admitted(self) -> bool:
        return self.retry_s == 0

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers as ASGI takes them."""
        reset_s = math.ceil(max(self.reset_s, 0))
        policy = f'"{self.policy}";q={self.per_minute};w=60'
        state = f'"{self.policy}";r={max(self.remaining, 0)};t={reset_s}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


_WHOSE = {
    "organization": "The organization has used all its requests of this minute",
    "user": "This user has sent too many requests",
    "address": "This address has sent too many requests",
}


def apply(request: HTTPConnection, quota: Quota) -> None:
    """Add the quota's headers to the answer. Raises Problem (429) if the quota is used up."""
    request.scope[_SCOPE_KEY] = quota.headers()
    if not quota.is_admitted:
        seconds = max(1, math.ceil(quota.retry_s))
        raise Problem(
            429,
            "rate_limited",
            f"{_WHOSE[quota.policy]}: wait {seconds} s.",
            more={"policy": quota.policy},
            headers={"Retry-After": str(seconds)},
        )


def headers_of(scope: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return the headers that `apply` left for the answer."""
    return scope.get(_SCOPE_KEY, [])
