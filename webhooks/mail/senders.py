"""The ways of a letter: into a folder, or to a mail server. Both raise SendError where it did not.

A file sender writes one `.eml` for each letter, for installations without a mail server and for
development. The mail server is spoken to over TLS, which a server on this machine alone need not
have.
"""

import asyncio
import os
import time
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiosmtplib

SMTP_URL_FORM = "a URL like smtps://user:password@host:465"
_TIMEOUT_S = 20.0
_PORTS = {"smtp": 587, "smtps": 465}


class SendError(Exception):
    """A letter was not taken. is_final: it never will be."""

    def __init__(self, reason: str, *, is_final: bool) -> None:
        super().__init__(reason)
        self.is_final = is_final


class MailSender(Protocol):
    """The place where letters go. `send` raises SendError."""

    async def send(self, letter: EmailMessage) -> None: ...


class FileSender:
    """A folder into which letters are written; it is made where there is none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, letter: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, bytes(letter))
        except OSError as error:
            raise SendError(str(error), is_final=False) from error

    def _write(self, content: bytes) -> None:
        """Write a letter whole or not at all, and for nobody else on the machine: a link lets its
        reader in.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{uuid4().hex[:8]}"
        unfinished = self._folder / f".{name}.tmp"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        unfinished.rename(self._folder / f"{name}.eml")


class SmtpServer(NamedTuple):
    """The address of the mail server: `smtps://user:password@host:465` (TLS from the beginning), or
    `smtp://...:587` (STARTTLS, which a server on this machine alone need not offer).
    """

    host: str
    port: int
    is_tls: bool
    username: str | None
    password: str | None

    @classmethod
    def read(cls, url: str) -> "SmtpServer":
        """Raise ValueError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # whose text may show the password
            raise ValueError(f"must be {SMTP_URL_FORM}") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"must be {SMTP_URL_FORM}")
        return cls(
            parts.hostname,
            port or _PORTS[parts.scheme],
            parts.scheme == "smtps",
            None if parts.username is None else unquote(parts.username),
            None if parts.password is None else unquote(parts.password),
        )

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class SmtpSender:
    """One connection for each letter: they are few."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, letter: EmailMessage) -> None:
        server = self._server
        try:
            await aiosmtplib.send(
                letter,
                hostname=server.host,
                port=server.port,
                use_tls=server.is_tls,
                # On this machine: where it is offered, whoever vouches for it (None: if offered).
                start_tls=False if server.is_tls else (None if server.is_here else True),
                validate_certs=not server.is_here,
                username=server.username,
                password=server.password,
                timeout=_TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            is_final = all(refusal.code >= 500 for refusal in error.recipients)
            raise SendError(str(error), is_final=is_final) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise SendError(f"{type(error).__name__}: {error}", is_final=False) from error
