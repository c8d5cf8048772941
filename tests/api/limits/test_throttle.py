"""Guessing is slowed down in all processes together, and nobody is kept out by it."""

from collections.abc import Iterator

import pytest

from db.core.secrets import new_secret_key
from tests.api.mailbox import Mailbox
from tests.api.running import PASSWORD, Answer, Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest, PostgresUnderTest

pytestmark = pytest.mark.own_api

HOME, ATTACKER = "198.51.100.7", "203.0.113.9"

# Functions of this schema are found before those of PostgreSQL, so that time stands still but for
# `_wait`: a slow machine would let a wait of a second go by unseen.
CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.present AS SELECT pg_catalog.now() AS at;
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER
    AS 'SELECT at FROM clock.present';
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE SECURITY DEFINER
    AS 'SELECT at FROM clock.present';
GRANT USAGE ON SCHEMA clock TO PUBLIC;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = clock, pg_catalog, public',
                   current_database());
END $$;
"""


@pytest.fixture(scope="module")
def database(postgres: PostgresUnderTest) -> Iterator[DatabaseUnderTest]:
    """A database with a clock of its own."""
    fresh = postgres.migrated_database()
    fresh.run("admin", CLOCK)
    yield fresh
    postgres.drop(fresh)


@pytest.fixture(scope="module")
def second(api: RunningApi, database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """Another process of the same installation."""
    with running_api(database, secret_key=api.settings.secret_key.get_secret_value()) as running:
        yield running


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """One of the test's own; nothing has failed yet about its email, which others have too."""
    api.sql("DELETE FROM sign_in_failures")
    return api.organization("Acme")


async def _try(
    api: RunningApi,
    org: Organization,
    password: str = "wrong",
    *,
    email: str | None = None,
    address: str = ATTACKER,
) -> Answer:
    body = {"email": email or org.email, "password": password, "organization_id": org.id}
    return await api.anonymous.send(
        "POST", "/v1/auth/token", json=body, headers={"X-Forwarded-For": address}
    )


def _wait(api: RunningApi, seconds: float) -> None:
    """Let time go by."""
    api.sql("UPDATE clock.present SET at = at + make_interval(secs => %s)", seconds)


async def test_after_some_failures_even_the_right_password_has_to_wait(
    api: RunningApi, second: RunningApi, org: Organization
) -> None:
    """By two processes in turn: they count together."""
    statuses = [(await _try((api, second)[n % 2], org)).status for n in range(6)]
    assert statuses == [401] * 6
    refused = await _try(second, org, PASSWORD)
    assert (refused.status, refused.json["code"]) == (429, "too_many_sign_ins")
    assert refused.headers["Retry-After"] == "1"
    _wait(api, 1)
    assert (await _try(api, org, PASSWORD)).status == 200


async def test_an_address_stays_trusted_when_the_secret_key_is_rotated(
    api: RunningApi, database: DatabaseUnderTest, org: Organization
) -> None:
    """The failures elsewhere are counted anew under the new key, and lock nobody out at home."""
    assert (await _try(api, org, PASSWORD, address=HOME)).status == 200
    ring = f"{new_secret_key()},{api.settings.secret_key.get_secret_value()}"
    with running_api(database, secret_key=ring) as rotated:
        assert {(await _try(rotated, org)).status for _ in range(9)} == {401, 429}
        assert (await _try(rotated, org, PASSWORD)).status == 429
        assert (await _try(rotated, org, PASSWORD, address=HOME)).status == 200


async def test_each_failure_makes_the_next_wait_twice_as_long_up_to_a_quarter_of_an_hour(
    api: RunningApi, org: Organization
) -> None:
    waits = []
    for _ in range(34):
        answer = await _try(api, org)
        if answer.status == 429:
            waits.append(int(answer.headers["Retry-After"]))
            _wait(api, waits[-1] + 1)
    assert waits[:4] == [1, 2, 4, 8]
    assert 500 < waits[-1] <= 900


async def test_trying_while_one_has_to_wait_makes_the_wait_no_longer(
    api: RunningApi, org: Organization
) -> None:
    for _ in range(9):
        await _try(api, org)
        _wait(api, 3)
    assert (await _try(api, org)).status == 401
    assert [(await _try(api, org)).headers["Retry-After"] for _ in range(20)] == ["8"] * 20


async def test_an_unknown_user_is_counted_as_a_known_one(
    api: RunningApi, org: Organization
) -> None:
    known = [await _try(api, org, address="192.0.2.1") for _ in range(7)]
    unknown = [
        await _try(api, org, email="nobody@example.com", address="192.0.2.2") for _ in range(7)
    ]
    for one, other in zip(known, unknown, strict=True):
        assert one.status == other.status
        assert {**one.json, "request_id": ""} == {**other.json, "request_id": ""}


async def test_waits_do_not_tell_which_organization_an_email_belongs_to(
    api: RunningApi, org: Organization
) -> None:
    """Whoever named one organization has to wait wherever they try next."""
    other = api.organization("Another")
    email = "only.one@example.com"
    user = await org.admin.post("/v1/users", {"email": email, "name": "Only One", "role": "viewer"})
    assert user.status == 201
    for named in (org, other):
        api.sql("DELETE FROM sign_in_failures")
        for _ in range(6):
            assert (await _try(api, named, email=email)).status == 401
        body = {"email": email, "password": "wrong"}
        headers = {"X-Forwarded-For": ATTACKER}
        unnamed = await api.anonymous.send("POST", "/v1/auth/token", json=body, headers=headers)
        statuses = [(await _try(api, one, email=email)).status for one in (org, other)]
        assert [unnamed.status, *statuses] == [429] * 3


async def test_a_sign_in_elsewhere_does_not_make_up_for_failures(
    api: RunningApi, org: Organization
) -> None:
    """Whoever has a user of the same email in another organization gains no tries by it."""
    other = api.organization("Another")
    for _ in range(5):
        assert (await _try(api, org)).status == 401
    assert (await _try(api, other, PASSWORD)).status == 200
    assert [(await _try(api, org)).status for _ in range(2)] == [401, 429]


async def test_an_attacker_cannot_keep_a_user_out_where_they_have_signed_in_before(
    api: RunningApi, org: Organization
) -> None:
    assert (await _try(api, org, PASSWORD, address=HOME)).status == 200
    assert await _guess(api, org, 100) == [401] * 100
    refused = await _try(api, org, PASSWORD, address=ATTACKER)
    assert (refused.status, refused.json["code"]) == (429, "password_link_needed")
    assert "/v1/auth/password-reset" in refused.json["detail"]
    for password, status in (("wrong", 401), (PASSWORD, 200)):
        assert (await _try(api, org, password, address=HOME)).status == status


async def _guess(api: RunningApi, org: Organization, times: int) -> list[int]:
    """Try wrong passwords from networks of which each has some free ones."""
    return [(await _try(api, org, address=f"10.0.0.{n // 5}")).status for n in range(times)]


async def test_an_attacker_elsewhere_makes_no_wait_for_a_user_in_a_new_place(
    api: RunningApi, org: Organization
) -> None:
    for _ in range(7):
        await _try(api, org)
    assert (await _try(api, org, PASSWORD)).status == 429
    assert (await _try(api, org, PASSWORD, address="192.0.2.77")).status == 200


async def test_a_user_has_a_hundred_guesses_a_day_over_all_networks(
    api: RunningApi, org: Organization
) -> None:
    """One comes back each quarter of an hour; what a wait refuses is not counted."""
    for _ in range(30):
        await _try(api, org)
    assert [(await _try(api, org)).status for _ in range(3)] == [429] * 3
    assert await _guess(api, org, 94) == [401] * 94  # six were judged before
    refused = await _try(api, org, address="10.0.1.1")
    assert refused.json["code"] == "password_link_needed"
    assert 1 <= int(refused.headers["Retry-After"]) <= 864
    _wait(api, 865)
    assert [(await _try(api, org, address=f"10.0.2.{n}")).status for n in range(2)] == [401, 429]


async def test_good_sign_ins_elsewhere_use_up_no_guesses(
    api: RunningApi, org: Organization
) -> None:
    await _guess(api, org, 99)
    for number in range(3):
        assert (await _try(api, org, PASSWORD, address=f"192.0.2.{number}")).status == 200
    assert [(await _try(api, org, address=f"10.0.2.{n}")).status for n in range(2)] == [401, 429]


async def test_a_new_password_by_mail_lets_a_user_in_whom_an_attacker_keeps_out(
    api: RunningApi, org: Organization, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await _guess(api, org, 100)
    assert (await _try(api, org, PASSWORD, address=HOME)).json["code"] == "password_link_needed"
    headers = {"X-Forwarded-For": HOME}
    body = {"email": org.email, "organization_id": org.id}
    await api.anonymous.send("POST", "/v1/auth/password-reset", json=body, headers=headers)
    token = await Mailbox(api, tmp_path_factory.mktemp("mail")).token(org.email)
    confirmed = await api.anonymous.send(
        "POST",
        "/v1/auth/password-reset/confirm",
        json={"token": token, "password": "a quite new pass phrase"},
        headers=headers,
    )
    assert confirmed.status == 200
    answer = await _try(api, org, "a quite new pass phrase", address=HOME)
    assert answer.status == 200


async def test_a_good_sign_in_takes_failures_back(api: RunningApi, org: Organization) -> None:
    for _ in range(4):
        for _ in range(4):
            assert (await _try(api, org, address=HOME)).status == 401
        assert (await _try(api, org, PASSWORD, address=HOME)).status == 200


async def test_one_address_cannot_go_through_users(api: RunningApi, org: Organization) -> None:
    address = "192.0.2.50"
    statuses = [
        (await _try(api, org, email=f"user{number}@example.com", address=address)).status
        for number in range(54)
    ]
    assert statuses[:50] == [401] * 50
    assert statuses[-1] == 429
    assert (await _try(api, org, PASSWORD, address=HOME)).status == 200


async def test_addresses_of_one_ipv6_network_count_as_one(
    api: RunningApi, org: Organization
) -> None:
    statuses = [
        (
            await _try(
                api, org, email=f"user{number}@example.com", address=f"2001:db8:1:2::{number:x}"
            )
        ).status
        for number in range(1, 55)
    ]
    assert statuses[-1] == 429
    other = await _try(api, org, email="other@example.com", address="2001:db8:1:3::1")
    assert other.status == 401


async def test_the_table_names_nobody(api: RunningApi, org: Organization) -> None:
    await _try(api, org)
    rows = api.sql("SELECT encode(key, 'escape') FROM sign_in_failures")
    assert rows
    assert not any("example" in row or "203.0" in row for (row,) in rows)


async def test_guessing_the_present_password_is_slowed_down_too(
    api: RunningApi, org: Organization
) -> None:
    change = {"password": "a quite new pass phrase", "current_password": "wrong"}
    answers = [await org.admin.patch("/v1/users/me", change) for _ in range(7)]
    assert [answer.status for answer in answers] == [403] * 6 + [429]
