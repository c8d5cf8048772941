"""The gate: each request is counted before its parameters and its body are read.

A program (an access token or an API key) needs a plan with API access, and its requests count
against its organization's limit. The dashboard's sessions need no plan and do not count: each user
has a token bucket, so that a page with a fault harms nobody else. Each address has token buckets
for requests without a valid credential: one for bad credentials, and one each for what needs none
and reads (pages), or does something (sign-ins). So nobody uses up the sign-ins of those behind the
same address with bad tokens. A fixed answer costs next to nothing but its bytes, and counts by
them: an office behind one address can load the dashboard.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.requests import HTTPConnection, Request

from api.auth.caller import Caller
from api.http import rate_limit_headers
from api.http.middleware import client_address
from api.limits.organization_quota import RequestLimits
from api.limits.plans import REQUESTS_PER_MINUTE, Plans, check_api_access
from api.limits.token_bucket import Buckets
from api.limits.usage_counter import RequestCounts
from api.settings import ApiSettings
from db.core.connect import Pool

_REQUESTS_PER_LINK = 60  # a minute
_BYTES_OF_REQUEST = 1024 * 1024  # of a fixed answer, which count as one request
_LEAST_OF_REQUEST = 1 / 5  # as which a fixed answer counts, however short it is


class Admission:
    """The gate and the limits of one process."""

    def __init__(
        self, settings: ApiSettings, connections: Pool, clock: Callable[[], float]
    ) -> None:
        self.plans = Plans(connections, clock)
        self._operator_contact = settings.operator_contact
        self._limits = RequestLimits(connections)
        self._counts = RequestCounts(connections)
        self._users = Buckets("user", settings.api_user_requests_per_minute)
        self._addresses = Buckets("address", settings.api_address_requests_per_minute)
        self._links = Buckets("address", _REQUESTS_PER_LINK)

    async def admit(self, request: HTTPConnection, caller: Caller, *, is_gated: bool) -> None:
        """Count the request of a known caller. Raises Problem (403, 429).

        Also raises what the database raises: a request that cannot be counted is not admitted.
        """
        if caller.via == "session":
            rate_limit_headers.apply(request, self._users.spend((caller.org_id, caller.user_id)))
            return
        plan = await self.plans.find(caller.org_id)
        if is_gated:
            check_api_access(plan, self._operator_contact)
        per_minute = REQUESTS_PER_MINUTE[plan.name]
        if per_minute is None:
            self._counts.note(caller.org_id, is_admitted=True)
            return
        quota = await self._limits.spend(caller.org_id, per_minute)
        self._counts.note(caller.org_id, is_admitted=quota.is_admitted)
        rate_limit_headers.apply(request, quota)

    def admit_stranger(self, request: Request) -> None:
        """Count a request that needs no credential. Raises Problem (429)."""
        self._count_address(request, request.method)

    def admit_to_fixed(self, request: Request, sent_bytes: int) -> None:
        """Count a request that needs no credential, and whose answer is the same for everybody.
        Raises Problem (429).
        """
        tokens = max(sent_bytes / _BYTES_OF_REQUEST, _LEAST_OF_REQUEST)
        self._count_address(request, request.method, tokens)

    def count_bad_credential(self, request: HTTPConnection) -> None:
        """Count a request with a bad credential, or without the one that it needs. Raises Problem
        (429).
        """
        self._count_address(request, "bad credential")

    def _count_address(self, request: HTTPConnection, kind: str, tokens: float = 1.0) -> None:
        quota = self._addresses.spend((client_address(request), kind), tokens)
        rate_limit_headers.apply(request, quota)

    def admit_link(self, request: Request, token_hash: bytes) -> None:
        """Count a request by a link, whoever uses it. Raises Problem (429)."""
        rate_limit_headers.apply(request, self._links.spend(token_hash))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write the counts until the block ends, and once more at its end."""
        writing = asyncio.create_task(self._counts.run())
        try:
            yield
        finally:
            writing.cancel()
            await self._counts.write()
