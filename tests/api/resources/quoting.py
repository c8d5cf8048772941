"""Quotes of a test: made, mailed, and answered on the page of their customer."""

import base64
import re
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from db.core.connect import Connection, pool
from db.core.ids import new_id
from operations.quotes.evidence import CONSENT_VERSION
from tests.api.mailbox import Mailbox
from tests.api.running import Answer, Organization, RunningApi

LINE = {
    "description": "Excavation",
    "quantity_thousandths": 12_500,
    "unit_price_cents": 24_000,
    "discount_basis_points": 500,
    "tax_basis_points": 810,
}
CONSENT = {"name": "Ann Lee", "consent": "yes", "consent_version": CONSENT_VERSION}


async def client_of(org: Organization, **more: Any) -> str:
    body = {"name": "Keller Civil Works", "email": f"{new_id().hex}@keller.example"} | more
    return (await org.admin.post("/v1/clients", body)).json["id"]


async def draft(org: Organization, **more: Any) -> dict[str, Any]:
    body = {
        "client_id": more.pop("client_id", None) or await client_of(org),
        "title": "Excavation, lot 4",
        "lines": [LINE],
        "currency": "CHF",
        "valid_until": "2099-04-30",
    }
    answer = await org.dispatcher.post("/v1/quotes", body | more)
    assert answer.status == 201, answer.json
    return answer.json


async def done(org: Organization, quote: dict[str, Any], verb: str, body: Any = None) -> Answer:
    body = {} if verb == "send" and body is None else body
    return await org.dispatcher.post(f"/v1/quotes/{quote['id']}/{verb}", body)


async def read(org: Organization, quote: dict[str, Any]) -> dict[str, Any]:
    return (await org.dispatcher.get(f"/v1/quotes/{quote['id']}")).json


async def sent(org: Organization, mailbox: Mailbox, **more: Any) -> tuple[dict[str, Any], str]:
    """Make a quote and send it; returns it with the path of its page."""
    quote = await draft(org, **more)
    return await mailed(org, mailbox, quote)


@asynccontextmanager
async def delivering(api: RunningApi) -> AsyncIterator[Connection]:
    """Provide a transaction of the delivering role."""
    async with (
        pool(api.database.url("opsc_deliver"), "test-mail", max_size=1) as connections,
        connections.connection() as conn,
        conn.transaction(),
    ):
        yield conn


async def letters_to(mailbox: Mailbox, address: str) -> list[EmailMessage]:
    return [letter for letter in await mailbox.letters() if letter["To"] == address]


async def mailed(
    org: Organization, mailbox: Mailbox, quote: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    answer = await done(org, quote, "send")
    assert answer.status == 202, answer.json
    assert (answer.json["status"], answer.json["mail_state"]) == ("draft", "queued")
    (letter,) = await letters_to(mailbox, answer.json["sent_to"])
    body = letter.get_body()
    assert body is not None
    found = re.search(r"https://ops\.example\.com(/quotes/opsl_\S+)", body.get_content())
    assert found is not None
    return await read(org, quote), found[1]


async def form(api: RunningApi, path: str, **values: str) -> Answer:
    return await api.anonymous.send("POST", path, data=values)


def events_of(api: RunningApi, org: Organization) -> list[str]:
    statement = "SELECT type FROM events WHERE org_id = %s ORDER BY occurred_at, id"
    return [row[0] for row in api.sql(statement, org.org_id)]


def png(width: int = 4, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0\xff" + b"\0" * (width - 1) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def data_url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()
