"""A letter is found whatever waits beside it, and organizations take turns."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio

from db.core.connect import Connection, conninfo
from db.core.ids import new_id
from db.delivery import mail_outbox
from db.delivery.mail_outbox import FIRST, Letter, LetterKind
from tests.db.test_list_plans import Explaining, looked_at
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.about("quotes", "letters")

LETTERS = 100_000
MOST_LOOKED_AT = 50
MOST_BLOCKS = 200
"""Blocks of tables and indexes, those that are written included."""
_FILL = """
INSERT INTO mail_outbox (org_id, id, purpose, email, quote_id, next_attempt_at)
SELECT %(org_id)s, gen_random_uuid(), 'quote', 'a@example.com', gen_random_uuid(),
       now() + %(due_in)s
  FROM generate_series(1, %(letters)s)
"""
ORGS = [UUID(int=number) for number in (3, 5, 7)]


@pytest.fixture
def admin(database: DatabaseUnderTest) -> psycopg.Connection:
    """A superuser, with no letters in the database."""
    conn = psycopg.connect(database.url("admin"), autocommit=True)
    conn.execute("TRUNCATE mail_outbox")
    return conn


@pytest_asyncio.fixture
async def conn(database: DatabaseUnderTest, admin: psycopg.Connection) -> AsyncIterator[Connection]:
    """A connection of the delivering role that keeps its plans."""
    url = conninfo(database.url("opsc_deliver"), "test")
    async with await Connection.connect(url, cursor_factory=Explaining) as conn:
        Explaining.plans = []
        yield conn
    admin.close()


def _quotes(admin: psycopg.Connection, org_id: UUID, letters: int = 1, due_in_s: int = 0) -> None:
    due_in = timedelta(seconds=due_in_s)
    admin.execute(_FILL, {"org_id": org_id, "letters": letters, "due_in": due_in})


def _reset(admin: psycopg.Connection, org_id: UUID) -> None:
    admin.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email)"
        " VALUES (%s, %s, 'password_reset', 'a@example.com')",
        (org_id, new_id()),
    )


async def _claim(conn: Connection, kind: LetterKind, after: UUID) -> Letter | None:
    return await mail_outbox.claim(conn, kind, after=after, again_after=timedelta(minutes=2))


async def test_a_claim_reads_a_few_of_all_letters_that_are_due(
    admin: psycopg.Connection, conn: Connection
) -> None:
    first, second, third = ORGS
    _quotes(admin, UUID(int=1), due_in_s=3_600)
    _quotes(admin, first, LETTERS // 2, due_in_s=3_600)
    _quotes(admin, second, LETTERS // 2)
    _quotes(admin, third)
    admin.execute("ANALYZE mail_outbox")
    asked: list[tuple[LetterKind, UUID, UUID | None]] = [
        ("quote", FIRST, second),
        ("quote", second, None),  # the plan was executed before, which claimed that of `third`
        ("user", FIRST, None),
    ]
    for kind, after, org_id in asked:
        letter = await _claim(conn, kind, after)
        assert (letter and letter.org_id) == org_id
    for plan in Explaining.plans:
        assert looked_at(plan) <= MOST_LOOKED_AT, plan
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= MOST_BLOCKS, plan
    assert len(Explaining.plans) == 3


async def test_where_nothing_is_due_one_look_is_enough(
    admin: psycopg.Connection, conn: Connection
) -> None:
    admin.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email, quote_id, next_attempt_at)"
        " SELECT gen_random_uuid(), gen_random_uuid(), 'quote', 'a@example.com',"
        "        gen_random_uuid(), now() + interval '1 hour' FROM generate_series(1, 2000)"
    )
    admin.execute("ANALYZE mail_outbox")
    assert await _claim(conn, "quote", FIRST) is None
    (plan,) = Explaining.plans
    assert looked_at(plan) <= 1


async def test_what_another_process_is_claiming_is_passed(
    database: DatabaseUnderTest, admin: psycopg.Connection
) -> None:
    first, second, third = ORGS
    _reset(admin, first)
    _reset(admin, second)
    _reset(admin, second)
    _quotes(admin, third)
    url = conninfo(database.url("opsc_deliver"), "test")
    async with (
        await Connection.connect(url) as one,
        await Connection.connect(url) as other,
        one.transaction(),
        other.transaction(),
    ):
        claimed = [
            letter and letter.org_id
            for letter in (
                await _claim(one, "user", FIRST),
                await _claim(other, "user", FIRST),
                await _claim(one, "user", FIRST),
                await _claim(other, "user", FIRST),
                await _claim(other, "quote", third),
                await _claim(other, "quote", FIRST),
            )
        ]
    assert claimed == [first, second, second, None, None, third]
    admin.close()


async def test_a_quote_waits_in_one_letter(admin: psycopg.Connection) -> None:
    statement = (
        "INSERT INTO mail_outbox (org_id, id, purpose, email, quote_id)"
        " VALUES (%s, %s, 'quote', 'a@example.com', %s)"
    )
    quote_id = new_id()
    admin.execute(statement, (ORGS[0], new_id(), quote_id))
    with pytest.raises(psycopg.errors.UniqueViolation):
        admin.execute(statement, (ORGS[0], new_id(), quote_id))
    for purpose in ("acceptance", "acceptance_notice", "acceptance_notice"):
        other = statement.replace("'quote'", f"'{purpose}'")
        admin.execute(other, (ORGS[0], new_id(), quote_id))
    admin.execute("UPDATE mail_outbox SET gave_up_at = now()")
    admin.execute(statement, (ORGS[0], new_id(), quote_id))
    admin.close()
