"""Quotes: a row for each revision of a number."""

from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.history.events import Event
from geofence.event_data.quotes import QuoteEvent
from operations.quotes.evidence import AcceptedHow
from operations.quotes.states import STANDING, QuoteState
from telemetry.ids import format_id

MailState = Literal["queued", "sent", "failed", "withdrawn"]


class QuoteRow(NamedTuple):
    """One row.

    sent_to, mail_state, send_error: of the letter that was asked for last. decided_by: who accepted
    or declined, by their own word. amounts_confirmed: False: it was made when amounts were
    hundredths of a currency that has other minor units. link_ended_at: when an admin ended the
    customer's link to what was accepted. The fields from `client_name` on are the client's and the
    organization's, as they are now; `today` is there. evidence: the contents of its entries.
    work_order_id: of the order that was made of it, deleted or not.
    """

    id: UUID
    number: int
    revision: int
    client_id: UUID
    title: str
    lines: list[dict[str, Any]]
    currency: str
    valid_until: date
    terms: str | None
    notes: str | None
    subtotal_cents: int
    discount_cents: int
    tax_cents: int
    total_cents: int
    state: QuoteState
    mail_state: MailState | None
    send_error: str | None
    sent_to: str | None
    sent_at: datetime | None
    viewed_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    decline_reason: str | None
    amounts_confirmed: bool
    link_ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    client_name: str
    client_address: str | None
    client_email: str | None
    organization_name: str
    timezone: str
    today: date
    evidence: list[bytes]
    work_order_id: UUID | None

    @property
    def is_over(self) -> bool:
        """Its last day is over."""
        return self.valid_until < self.today


def _states(conditions: Conditions, states: str) -> None:
    conditions.add("quotes.state = ANY (%(states)s)", states=states.split(","))


def _since(conditions: Conditions, time: datetime) -> None:
    conditions.add("quotes.created_at >= %(since)s", since=time)


def _until(conditions: Conditions, time: datetime) -> None:
    conditions.add("quotes.created_at < %(until)s", until=time)


def _deleted(conditions: Conditions, deleted: bool) -> None:
    conditions.add_null("quotes.deleted_at", null=not deleted)


quotes = Table(
    "quotes",
    QuoteRow,
    jsonb=["lines"],
    fixed=["number", "revision"],
    computed={
        "client_name": "clients.name",
        "client_address": "clients.address",
        "client_email": "clients.email",
        "organization_name": "organizations.name",
        "timezone": "organizations.timezone",
        "evidence": "ARRAY(SELECT entry.content FROM quote_evidence AS entry"
        " WHERE entry.org_id = quotes.org_id AND entry.quote_id = quotes.id ORDER BY entry.place)",
        "work_order_id": "(SELECT made.id FROM work_orders AS made"
        " WHERE made.org_id = quotes.org_id AND made.quote_id = quotes.id)",
        "today": "(now() AT TIME ZONE organizations.timezone)::date",
    },
    joins="JOIN clients ON clients.org_id = quotes.org_id AND clients.id = quotes.client_id"
    " JOIN organizations ON organizations.org_id = quotes.org_id",
    filters={"status": _states, "since": _since, "until": _until, "deleted": _deleted},
    has_row_count=True,
)


async def is_in_use(conn: Connection, quote_id: UUID) -> bool:
    """Return whether the tenant's quote is with its customer, on its way there, or accepted."""
    return await value_of(
        conn,
        """
        SELECT EXISTS (SELECT FROM quotes WHERE id = %s
                          AND (state = ANY (%s) OR mail_state = 'queued'))
        """,
        (quote_id, list(STANDING)),
    )


async def client_name(conn: Connection, client_id: UUID) -> str:
    """Return the name of a client who is there for sure."""
    return await value_of(conn, "SELECT name FROM clients WHERE id = %s", (client_id,))


class QuoteRevision(NamedTuple):
    """A revision among those of its number."""

    id: UUID
    revision: int
    state: QuoteState
    mail_state: MailState | None
    is_deleted: bool


async def lock_revisions(conn: Connection, number: int) -> list[QuoteRevision]:
    """Lock the tenant's revisions of a number, and return them, the first first. They are read
    when they are locked: one that was made meanwhile is among them.
    """
    await conn.execute(
        "SELECT FROM quotes WHERE number = %s ORDER BY revision FOR NO KEY UPDATE", (number,)
    )
    cursor = await conn.execute(
        "SELECT id, revision, state, mail_state, deleted_at IS NOT NULL FROM quotes"
        " WHERE number = %s ORDER BY revision",
        (number,),
    )
    return [QuoteRevision(*row) for row in await cursor.fetchall()]


def event_of(
    org_id: UUID,
    event_type: str,
    row: QuoteRow,
    at: datetime,
    *,
    accepted_how: AcceptedHow | None = None,
    noted_by: str | None = None,
) -> Event:
    """Return the event of something that happened to a quote, with the quote as it is now.
    noted_by: the id of the user who noted what the customer said elsewhere.
    """
    data = QuoteEvent(
        quote_id=format_id("quo", row.id),
        number=row.number,
        revision=row.revision,
        client_id=format_id("cli", row.client_id),
        client_name=row.client_name,
        title=row.title,
        status=row.state,
        total_cents=row.total_cents,
        currency=row.currency,
        valid_until=row.valid_until.isoformat(),
        sent_to=row.sent_to,
        decided_by=row.decided_by,
        decline_reason=row.decline_reason,
        accepted_how=accepted_how,
        noted_by=noted_by,
    )
    return Event(org_id, new_id(), event_type, at, msgspec.json.encode(data).decode())
