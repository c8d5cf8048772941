"""The loop that sends letters: invitations, password resets, quotes and their acceptances, links
to reports, and what an admin must know.

A letter waits in a table (`db.delivery.mail_outbox`), so it survives whatever dies. Whoever claims
it makes its link, sends it and takes the row away; who dies in between leaves it to be sent again,
with another link. Letters to users come before quotes, and organizations take turns, so nobody
waits for all quotes of another. What cannot be sent is tried again less and less often, eight times
in a day. Whether a quote is still to be sent is read once its letter is claimed: from then on
nobody withdraws it. A quote becomes sent in the transaction that takes its
letter away. The same loop takes away what has expired: sign-ins, tokens, links, and answers that
were kept; and it expires quotes.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from time import monotonic
from typing import TypeAlias
from uuid import UUID

import structlog

from db.core.connect import Connection, Pool
from db.core.secrets import LINK, new_secret, secret_hash
from db.delivery import mail_outbox, report_runs
from db.delivery.mail_outbox import FIRST, Letter, LetterKind
from db.delivery.report_runs import ReportLetter
from db.identity import user_links
from db.identity.user_links import Purpose
from db.quotes import mailing as quote_mailing
from db.quotes.mailing import AcceptanceLetter, QuoteLetter
from db.requests import expired
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.mail.letters import (
    LetterError,
    compose,
    compose_acceptance,
    compose_acceptance_notice,
    compose_endpoint_disabled,
    compose_quote,
    compose_report,
)
from webhooks.mail.senders import MailSender, SendError
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_log = structlog.get_logger("webhooks")
_IDLE_S = 1.0
_SENDING_S = 90.0
_CLAIM = timedelta(minutes=2)  # longer than sending takes
_KINDS: tuple[LetterKind, ...] = ("user", "quote")  # in the order in which they are sent
_LINK_LIFETIMES: dict[Purpose, timedelta] = {
    "invitation": timedelta(days=7),
    "password_reset": timedelta(hours=1),
}
_PAUSES = [timedelta(seconds=seconds) for seconds in (30, 120, 480, 1800, 7200, 21_600, 43_200)]
_Content: TypeAlias = QuoteLetter | AcceptanceLetter | ReportLetter | None
_CLEAN_EVERY_S = 600.0
_CLEANED_ROWS = 5_000  # of each kind at a time
_EXPIRED_QUOTES = 500  # at a time, of which
_EXPIRED_TOGETHER = 25  # in one transaction
_MOST_TAKEN = 1_000
_CLEANING = WorkRow("cleaning", "expired")


class Mailing:
    """Any number of processes may run it. Call `wake` when there may be a letter."""

    def __init__(
        self,
        connections: Pool,
        sender: MailSender,
        guard: RowGuard,
        metrics: WebhookMetrics,
        *,
        mail_from: str,
        public_url: str,
    ) -> None:
        self._connections = connections
        self._sender = sender
        self._guard = guard
        self._metrics = metrics
        self._mail_from = mail_from
        self._public_url = public_url
        self._work = asyncio.Event()
        self._turns: dict[LetterKind, UUID] = {}  # the organizations that were served last
        self._taken: dict[UUID, None] = {}  # letters that were sent, of which that is to be written
        self._outage = Outage("mailing", random.Random())

    def wake(self, _: UUID | None = None) -> None:
        self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`."""
        clean_at_s = monotonic()
        while not stop.is_set():
            self._work.clear()
            try:
                sent = await self.send_next()
                if monotonic() >= clean_at_s:
                    await self._clean()
                    clean_at_s = monotonic() + _CLEAN_EVERY_S
                self._outage.end()
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))
                continue
            if not sent:
                await pause(self._work, _IDLE_S)

    async def send_next(self) -> bool:
        """Send one letter that is due; False where none is."""
        async with self._connections.connection() as conn:
            letter = await self._claimed(conn)
        if letter is None:
            return False
        row = WorkRow(mail_outbox.KIND, str(letter.id), letter.org_id)
        if not await self._guard.run(row, partial(self._send, letter), is_due=True):
            async with self._connections.connection() as conn:
                await mail_outbox.release(conn, letter)
        return True

    async def _claimed(self, conn: Connection) -> Letter | None:
        """Claim the next letter: behind the organization whose turn was last, or from the first."""
        for kind in _KINDS:
            for after in dict.fromkeys((self._turns.get(kind, FIRST), FIRST)):
                letter = await mail_outbox.claim(conn, kind, after=after, again_after=_CLAIM)
                if letter is not None:
                    self._turns[kind] = letter.org_id
                    return letter
        return None

    async def _send(self, letter: Letter) -> None:
        if letter.id in self._taken:  # a fault of ours kept that from being written
            await self._done(letter, is_sent=True)
            return
        async with self._connections.connection() as conn, conn.transaction():
            content = await _content(conn, letter)
        try:
            message = await self._message(letter, content)
            if message is not None:
                await self._hand_over(message)
        except (SendError, LetterError) as error:
            await self._failed(letter, error)
            return
        if message is not None:
            self._metrics.letters_sent.inc()
            self._keep_as_taken(letter)
        await self._done(letter, is_sent=message is not None)

    def _keep_as_taken(self, letter: Letter) -> None:
        while len(self._taken) >= _MOST_TAKEN:
            del self._taken[next(iter(self._taken))]
        self._taken[letter.id] = None

    async def _hand_over(self, message: EmailMessage) -> None:
        """Send a message while its letter is claimed. Raises SendError."""
        try:
            async with asyncio.timeout(_SENDING_S):
                await self._sender.send(message)
        except TimeoutError as error:
            raise SendError(f"not taken within {_SENDING_S:g} s", is_final=False) from error

    async def _message(self, letter: Letter, content: _Content) -> EmailMessage | None:
        """Return what to send, with a new link; None where nobody wants it. Raises LetterError."""
        if isinstance(content, QuoteLetter):
            return await self._quote_message(letter, content)
        if isinstance(content, AcceptanceLetter):
            is_notice = letter.purpose == "acceptance_notice"
            compose_it = compose_acceptance_notice if is_notice else compose_acceptance
            return compose_it(letter, content, self._mail_from)
        if isinstance(content, ReportLetter):
            return compose_report(letter, content, self._mail_from, self._public_url)
        if letter.user_id is None or letter.purpose in (
            "quote",
            "acceptance",
            "acceptance_notice",
            "report",
        ):
            return None
        if letter.purpose == "endpoint_disabled":
            if letter.disabled_reason is None:
                return None
            return compose_endpoint_disabled(letter, self._mail_from)
        token = new_secret(LINK)
        message = compose(letter, token, self._mail_from, self._public_url)
        lifetime = _LINK_LIFETIMES[letter.purpose]
        async with self._connections.connection() as conn:
            await user_links.insert(
                conn, letter.org_id, letter.user_id, letter.purpose, secret_hash(token), lifetime
            )
        return message

    async def _quote_message(self, letter: Letter, quote: QuoteLetter) -> EmailMessage:
        assert letter.quote_id is not None  # the database sees to it
        token = new_secret(LINK)
        message = compose_quote(letter, quote, token, self._mail_from, self._public_url)
        async with self._connections.connection() as conn:
            await quote_mailing.insert_link(
                conn, letter.org_id, letter.quote_id, secret_hash(token)
            )
        return message

    async def _done(self, letter: Letter, *, is_sent: bool) -> None:
        async with self._connections.connection() as conn, conn.transaction():
            await _take_turn(conn, letter)
            is_own = await mail_outbox.done(conn, letter)
            if is_own and is_sent and letter.sent_quote_id is not None:
                await quote_mailing.was_taken(conn, letter.org_id, letter.sent_quote_id)
        self._taken.pop(letter.id, None)

    async def _failed(self, letter: Letter, error: SendError | LetterError) -> None:
        is_final = isinstance(error, LetterError) or error.is_final
        gives_up = is_final or letter.attempts > len(_PAUSES)
        self._metrics.letters_failed.inc()
        _log.warning(
            "email not sent", letter=str(letter.id), gave_up=gives_up, reason=str(error)[:500]
        )
        async with self._connections.connection() as conn, conn.transaction():
            await _take_turn(conn, letter)
            if letter.purpose == "report":
                await report_runs.was_not_sent(conn, letter.org_id, letter.id, str(error))
            if gives_up:
                is_own = await mail_outbox.give_up(conn, letter)
            else:
                is_own = await mail_outbox.put_off(conn, letter, _PAUSES[letter.attempts - 1])
            if is_own and letter.sent_quote_id is not None:
                await quote_mailing.was_not_taken(
                    conn, letter.org_id, letter.sent_quote_id, str(error), gives_up=gives_up
                )

    async def _clean(self) -> None:
        await self._guard.run(_CLEANING, self._remove_expired)
        async with self._connections.connection() as conn:
            due = await quote_mailing.due_to_expire(conn, limit=_EXPIRED_QUOTES)
        rows = [WorkRow(quote_mailing.EXPIRY, str(quote_id), org_id) for org_id, quote_id in due]
        for first in range(0, len(rows), _EXPIRED_TOGETHER):
            together = rows[first : first + _EXPIRED_TOGETHER]
            await self._guard.bulk(together, self._expire, is_due=True)

    async def _remove_expired(self) -> None:
        async with self._connections.connection() as conn:
            await expired.remove(conn, limit=_CLEANED_ROWS)

    async def _expire(self, rows: Sequence[WorkRow]) -> None:
        async with self._connections.connection() as conn, conn.transaction():
            await quote_mailing.expire(conn, [UUID(row.key) for row in rows])


async def _content(conn: Connection, letter: Letter) -> _Content:
    """Return the contents of a letter about a quote or a report; None where nobody wants it any
    more.
    """
    if letter.purpose == "report":
        return await report_runs.letter_of(conn, letter.org_id, letter.id)
    if letter.quote_id is None:
        return None
    if letter.purpose == "quote":
        return await quote_mailing.letter_of(conn, letter.org_id, letter.quote_id)
    return await quote_mailing.acceptance_letter(conn, letter.org_id, letter.quote_id)


async def _take_turn(conn: Connection, letter: Letter) -> None:
    """Lock the quote of a letter before the letter, as who withdraws it does."""
    if letter.sent_quote_id is not None:
        await quote_mailing.take_turn(conn, letter.org_id, letter.sent_quote_id)
