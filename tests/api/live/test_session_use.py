"""A session of the dashboard is in use as long as its live connection is open."""

import pytest

from api.limits import last_used
from tests.api.live.reading import session_cookie, stranger
from tests.api.running import Organization, RunningApi
from tests.waiting import until

_SESSION = "org_id = %s AND kind = 'session'"
_LONG_AGO = f"UPDATE sign_ins SET last_used_at = now() - interval '11 hours' WHERE {_SESSION}"
_IS_OLD = f"SELECT last_used_at < now() - interval '1 hour' FROM sign_ins WHERE {_SESSION}"


async def test_a_map_on_a_wall_stays_signed_in(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_used, "_EVERY_S", 0.0)
    headers = {"Cookie": await session_cookie(api, org)}
    async with stranger(api.url, origin=api.url, additional_headers=headers) as reader:
        assert (await reader.ask("authenticate"))["op"] == "authenticated"
        await until(lambda: not api.sql(_IS_OLD, org.org_id)[0][0])
        api.sql(_LONG_AGO, org.org_id)
        await until(lambda: not api.sql(_IS_OLD, org.org_id)[0][0])
