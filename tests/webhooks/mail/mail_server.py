"""A real mail server on loopback that takes letters, or misbehaves as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USERNAME, PASSWORD = "ops", "p@ss/word"


class Postbox:
    """The letters that came, and how they are answered."""

    def __init__(self) -> None:
        self.letters: list[tuple[list[str], bytes]] = []
        self.recipient_answer = "250 OK"
        self.data_answer = "250 OK"
        self.was_encrypted: list[bool] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.letters.append((list(envelope.rcpt_tos), envelope.content))
            self.was_encrypted.append(session.ssl is not None)
        return self.data_answer


def _knows(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
) -> AuthResult:
    known = LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=data == known, handled=False)  # so that it is answered


@asynccontextmanager
async def mail_server(
    *, tls: ssl.SSLContext | None = None, asks_who: bool = False
) -> AsyncIterator[tuple[Postbox, int]]:
    """Provide a mail server's postbox and port, while the block lasts. With `tls` it insists on
    STARTTLS.
    """
    postbox = Postbox()

    def session() -> SMTP:
        return SMTP(
            postbox,
            tls_context=tls,
            require_starttls=tls is not None,
            auth_require_tls=tls is not None,
            authenticator=_knows if asks_who else None,
            auth_required=asks_who,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    async with server:
        yield postbox, server.sockets[0].getsockname()[1]
