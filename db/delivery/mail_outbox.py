"""Mail that is to be sent: written in the transaction that wants it, sent by the delivering role.

A letter that could not be sent is tried again, less and less often; at the end it is given up, and
its row stays for a while, for whoever asks. `claim` and the marks of its outcome are for a role
that is not under row-level security.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.wakeups import Channel
from db.history.failing_work import WorkKind, not_waiting
from db.identity.user_links import Purpose
from languages.language import Language

LetterPurpose: TypeAlias = Literal[
    Purpose, "quote", "acceptance", "acceptance_notice", "endpoint_disabled", "report"
]
"""The content of a letter. Of an acceptance, the customer gets one, and the office a notice."""
LetterKind: TypeAlias = Literal["user", "quote"]
"""A letter brings a quote, or it does not: most of these are for users."""
MOST_ADMINS = 20  # of an organization, that get one letter each
FIRST = UUID(int=0)  # before all organizations
KIND: WorkKind = "letter"
"""The rows of this work are letters."""

# The first organization that has letters, then from each the next one, with its earliest letter. Of
# the first that has one that is due, the earliest. That any is due at all is looked up before.
# BETWEEN, not =: else the order were that of next_attempt_at alone, by whose index PostgreSQL might
# read all letters that are due.
_CLAIM = """
WITH RECURSIVE waiting AS (
    (SELECT org_id, next_attempt_at FROM mail_outbox
      WHERE gave_up_at IS NULL AND {of_kind} AND {not_waiting} AND org_id > %(after)s
        AND (SELECT min(next_attempt_at) FROM mail_outbox WHERE gave_up_at IS NULL) <= now()
      ORDER BY org_id, next_attempt_at LIMIT 1)
    UNION ALL
    SELECT next.org_id, next.next_attempt_at
      FROM waiting CROSS JOIN LATERAL (
           SELECT org_id, next_attempt_at FROM mail_outbox
            WHERE gave_up_at IS NULL AND {of_kind} AND {not_waiting}
              AND org_id > waiting.org_id
            ORDER BY org_id, next_attempt_at LIMIT 1) AS next
), due AS MATERIALIZED (
    SELECT letter.org_id, letter.id
      FROM waiting CROSS JOIN LATERAL (
           SELECT org_id, id FROM mail_outbox
            WHERE gave_up_at IS NULL AND {of_kind} AND {not_waiting}
              AND org_id BETWEEN waiting.org_id AND waiting.org_id
              AND next_attempt_at <= now()
            ORDER BY org_id, next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED) AS letter
     WHERE waiting.next_attempt_at <= now()
     LIMIT 1
), claimed AS (
    UPDATE mail_outbox AS m
       SET attempts = m.attempts + 1, next_attempt_at = now() + %(again_after)s,
           claimed_until = now() + %(again_after)s
      FROM due WHERE m.org_id = due.org_id AND m.id = due.id
    RETURNING m.*
)
SELECT c.org_id, c.id, c.purpose, c.email, c.attempts, c.quote_id, o.name, u.id,
       u.name, c.endpoint_id, p.description, p.disabled_reason, o.email,
       coalesce(u.language, o.language)
  FROM claimed AS c
  LEFT JOIN webhook_endpoints AS p ON p.org_id = c.org_id AND p.id = c.endpoint_id
       AND p.deleted_at IS NULL
  LEFT JOIN organizations AS o ON o.org_id = c.org_id
  LEFT JOIN users AS u ON u.org_id = c.org_id AND u.email = c.email
       AND c.quote_id IS NULL
       AND (u.deactivated_at IS NULL OR u.deactivated_at > now())
       AND (u.password_hash IS NULL) = (c.purpose = 'invitation')
"""
_NOT_WAITING = not_waiting(KIND, "mail_outbox.id::text")
_CLAIMS: Mapping[LetterKind, bytes] = {
    "user": _CLAIM.format(of_kind="purpose <> 'quote'", not_waiting=_NOT_WAITING).encode(),
    "quote": _CLAIM.format(of_kind="purpose = 'quote'", not_waiting=_NOT_WAITING).encode(),
}


class Letter(NamedTuple):
    """One that is due. `user_id` is None where no user wants it (any more).

    quote_id: of the quote that it brings, or whose acceptance; None of other letters. endpoint_id:
    of the webhook endpoint that was disabled, with its description and the reason. office: the
    address of the organization. language: of the user, or else of the organization; None: neither
    has chosen one.
    """

    org_id: UUID
    id: UUID
    purpose: LetterPurpose
    email: str
    attempts: int  # this one included
    quote_id: UUID | None
    organization: str | None
    user_id: UUID | None
    user_name: str | None
    endpoint_id: UUID | None
    endpoint_description: str | None
    disabled_reason: str | None
    office: str | None
    language: Language | None

    @property
    def sent_quote_id(self) -> UUID | None:
        """The quote that is sent with the letter; None where it brings none."""
        return self.quote_id if self.purpose == "quote" else None


async def add(conn: Connection, purpose: Purpose, email: str) -> None:
    """Add a letter for an address of the tenant."""
    await conn.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email)"
        " VALUES (current_org_id(), %s, %s, %s)",
        (new_id(), purpose, email),
    )
    conn.note(Channel.LETTERS)


async def add_quote(conn: Connection, quote_id: UUID, email: str) -> None:
    """Add a letter with a quote of the tenant."""
    await conn.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email, quote_id)"
        " VALUES (current_org_id(), %s, 'quote', %s, %s)",
        (new_id(), email, quote_id),
    )
    conn.note(Channel.LETTERS)


async def add_acceptance(conn: Connection, quote_id: UUID, customer: str) -> None:
    """Add the letters about a quote of the tenant that its customer accepted: one to the customer,
    and one to the office, or to each admin where the organization has no address.
    """
    await conn.execute(
        """
        INSERT INTO mail_outbox (org_id, id, purpose, email, quote_id)
        SELECT current_org_id(), gen_random_uuid(), purpose, email, %(quote_id)s
          FROM (SELECT 'acceptance', %(customer)s
                UNION ALL
                SELECT 'acceptance_notice', email FROM organizations WHERE email IS NOT NULL
                UNION ALL
                (SELECT 'acceptance_notice', email FROM users
                  WHERE role = 'admin' AND password_hash IS NOT NULL
                    AND (deactivated_at IS NULL OR deactivated_at > now())
                    AND EXISTS (SELECT FROM organizations WHERE email IS NULL)
                  ORDER BY created_at LIMIT %(most)s)) AS letter (purpose, email)
        """,
        {"quote_id": quote_id, "customer": customer, "most": MOST_ADMINS},
    )
    conn.note(Channel.LETTERS)


async def add_endpoint_disabled(conn: Connection, org_id: UUID, endpoint_id: UUID) -> None:
    """Add a letter about a disabled webhook endpoint to each admin, as opsc_deliver."""
    await conn.execute(
        """
        INSERT INTO mail_outbox (org_id, id, purpose, email, endpoint_id)
        SELECT org_id, gen_random_uuid(), 'endpoint_disabled', email, %(endpoint_id)s
          FROM users
         WHERE org_id = %(org_id)s AND role = 'admin'
           AND (deactivated_at IS NULL OR deactivated_at > now()) AND password_hash IS NOT NULL
         ORDER BY created_at LIMIT %(most)s
        """,
        {"org_id": org_id, "endpoint_id": endpoint_id, "most": MOST_ADMINS},
    )
    conn.note(Channel.LETTERS)


async def add_reports(
    conn: Connection, schedule_id: UUID, first_day: date, last_day: date, emails: Sequence[str]
) -> None:
    """Add the letters about a report of the tenant, one to each address."""
    await conn.execute(
        """
        INSERT INTO mail_outbox (org_id, id, purpose, email, schedule_id, period_from, period_to)
        SELECT current_org_id(), gen_random_uuid(), 'report', email, %s, %s, %s
          FROM unnest(%s::text[]) AS recipient (email)
        """,
        (schedule_id, first_day, last_day, list(emails)),
    )
    conn.note(Channel.LETTERS)


async def claim(
    conn: Connection, kind: LetterKind, *, after: UUID, again_after: timedelta
) -> Letter | None:
    """Claim a letter of a kind that is due, which nobody else gets before `again_after`: the oldest
    one of the first organization behind `after` that has one.

    Whoever passes the organization of the letter before lets organizations take turns. A claim
    costs a look at each organization that is passed, however many letters these have.

    An invitation is for a user who has not accepted one, a reset for one who has a password. What
    tells of a disabled endpoint has no `disabled_reason` once that is enabled again or deleted.
    """
    async with conn.cursor(row_factory=args_row(Letter)) as cursor:
        await cursor.execute(_CLAIMS[kind], {"after": after, "again_after": again_after})
        return await cursor.fetchone()


async def withdraw(conn: Connection, quote_id: UUID) -> bool:
    """Remove the letter that waits with a quote of the tenant. False where a process is just
    sending it. The quote is locked, as it is for whoever marks the outcome of a letter.
    """
    await conn.execute(
        "DELETE FROM mail_outbox WHERE quote_id = %s AND purpose = 'quote'"
        " AND gave_up_at IS NULL AND coalesce(claimed_until < now(), true)",
        (quote_id,),
    )
    return await value_of(
        conn,
        "SELECT NOT EXISTS (SELECT FROM mail_outbox"
        " WHERE quote_id = %s AND purpose = 'quote' AND gave_up_at IS NULL)",
        (quote_id,),
    )


async def done(conn: Connection, letter: Letter) -> bool:
    """Remove a letter that was sent, or that nobody wants. False where it is gone already."""
    cursor = await conn.execute(
        "DELETE FROM mail_outbox WHERE org_id = %s AND id = %s", (letter.org_id, letter.id)
    )
    return cursor.rowcount > 0


async def put_off(conn: Connection, letter: Letter, pause: timedelta) -> bool:
    """Put a letter off: it is tried again after `pause`. False where it is gone already."""
    cursor = await conn.execute(
        "UPDATE mail_outbox SET next_attempt_at = now() + %s, claimed_until = NULL"
        " WHERE org_id = %s AND id = %s",
        (pause, letter.org_id, letter.id),
    )
    return cursor.rowcount > 0


async def release(conn: Connection, letter: Letter) -> None:
    """Let go of a letter that a fault of ours kept from being sent, as if it had not been tried."""
    await conn.execute(
        "UPDATE mail_outbox SET attempts = attempts - 1, next_attempt_at = now(),"
        " claimed_until = NULL WHERE org_id = %s AND id = %s AND attempts = %s"
        " AND gave_up_at IS NULL",
        (letter.org_id, letter.id, letter.attempts),
    )


async def give_up(conn: Connection, letter: Letter) -> bool:
    """Give a letter up: it is not tried again. False where it is gone already."""
    cursor = await conn.execute(
        "UPDATE mail_outbox SET gave_up_at = now() WHERE org_id = %s AND id = %s",
        (letter.org_id, letter.id),
    )
    return cursor.rowcount > 0
