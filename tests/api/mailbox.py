"""The letters of a running API, sent as the delivering role sends them: into a folder."""

import email.policy
import re
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

from db.core.connect import pool
from tests.api.running import RunningApi
from tests.webhooks.poison.guards import guard_of
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import FileSender
from webhooks.metrics import WebhookMetrics


class Mailbox:
    """Everybody's."""

    def __init__(self, api: RunningApi, folder: Path) -> None:
        self._url = api.database.url("opsc_deliver")
        self._folder = folder

    async def letters(self) -> list[EmailMessage]:
        """Send what is due now, and return it."""
        async with pool(self._url, "test-mail", max_size=1) as connections:
            sender = FileSender(self._folder)
            mailing = Mailing(
                connections,
                sender,
                guard_of(connections),
                WebhookMetrics(),
                mail_from="OPS <ops@example.com>",
                public_url="https://ops.example.com/",
            )
            while await mailing.send_next():
                pass
        return [_taken(path) for path in sorted(self._folder.glob("*.eml"))]

    async def token(self, to: str) -> str:
        """Return the token of the one letter to an address."""
        (letter,) = [letter for letter in await self.letters() if letter["To"] == to]
        return token_of(letter)


def token_of(letter: EmailMessage) -> str:
    """Return the token that the link in a letter carries."""
    found = re.search(r"#token=(\S+)", letter.get_content())
    assert found is not None
    return found[1]


def _taken(path: Path) -> EmailMessage:
    letter = message_from_bytes(path.read_bytes(), policy=email.policy.default)
    path.unlink()
    assert isinstance(letter, EmailMessage)
    return letter
