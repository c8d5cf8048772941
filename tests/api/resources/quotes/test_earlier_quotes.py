"""Quotes of earlier versions, as they were stored: evidence, page, and their acceptance now."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from db.core.secrets import LINK, new_secret, secret_hash
from operations.quotes.document import read_document
from operations.quotes.evidence import CONSENT_VERSION
from telemetry.ids import parse_id
from tests.api.resources.quotes.test_quote_acceptance import accepted_pdf, text_of
from tests.api.resources.quoting import CONSENT, client_of, form
from tests.api.running import Organization, RunningApi
from tests.db.proving import put

_CASES = Path(__file__).parents[3] / "cases"
_STORED = json.loads((_CASES / "stored_quotes.json").read_text())
_INSERT = """
INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency, valid_until,
                    subtotal_cents, discount_cents, tax_cents, total_cents, state, sent_at, sent_to,
                    mail_state, viewed_at, decided_at, decided_by, terms)
VALUES (%(org)s, %(id)s, %(number)s, 1, %(client)s, %(title)s, %(lines)s, %(currency)s,
        '2099-01-01', %(subtotal)s, %(discount)s, %(tax)s, %(total)s, %(state)s, now(),
        'info@frei.example', 'sent', CASE WHEN %(state)s = 'accepted' THEN now() END,
        CASE WHEN %(state)s = 'accepted' THEN now() END,
        CASE WHEN %(state)s = 'accepted' THEN 'Ann Lee' END, %(terms)s)
"""


def _case(case: dict[str, Any]) -> str:
    return case["case"]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def stored(
    api: RunningApi, org: Organization, case: dict[str, Any], state: str
) -> tuple[dict[str, Any], str]:
    """Store a quote as it was stored once; returns it with the path of its page."""
    document = read_document(case["document"].encode())
    quote_id = parse_id("quo", document.quote_id)
    client_id = parse_id("cli", await client_of(org))
    figures = ("quantity_thousandths", "unit_price_cents")
    rates = ("discount_basis_points", "tax_basis_points")
    names = ("description", *figures, *rates)
    lines = [{name: getattr(line, name) for name in names} for line in document.lines]
    row = {
        "org": org.org_id,
        "id": quote_id,
        "number": document.number,
        "client": client_id,
        "title": document.title,
        "lines": Jsonb(lines),
        "currency": document.currency,
        "subtotal": document.subtotal_cents,
        "discount": document.discount_cents,
        "tax": document.tax_cents,
        "total": document.total_cents,
        "state": state,
        "terms": document.terms,
    }
    token = new_secret(LINK)
    entries = case["entries"][: {"sent": 1, "accepted": 3}[state]]
    key = org.org_id, quote_id
    put(
        api.database,
        (_INSERT, row),
        (
            "INSERT INTO quote_documents (org_id, quote_id, content, pdf, logo)"
            " VALUES (%s, %s, %s, %s, %s)",
            (*key, case["document"].encode(), _bytes(case["pdf"]), _bytes(case["logo"])),
        ),
        *(
            (
                "INSERT INTO quote_evidence (org_id, quote_id, place, content, sha256,"
                " signature_png) VALUES (%s, %s, %s, %s, %s, %s)",
                (
                    *key,
                    place,
                    content.encode(),
                    bytes.fromhex(digest),
                    _bytes(case["signature_png"]) if place == 3 else None,
                ),
            )
            for place, (content, digest) in enumerate(entries, 1)
        ),
        (
            "INSERT INTO quote_links (org_id, token_hash, quote_id) VALUES (%s, %s, %s)",
            (org.org_id, secret_hash(token), quote_id),
        ),
    )
    return {"id": document.quote_id}, f"/quotes/{token}"


async def _check_intact(org: Organization, quote: dict[str, Any]) -> None:
    checked = (await org.admin.get(f"/v1/quotes/{quote['id']}/evidence")).json
    assert (checked["is_intact"], checked["faults"]) == (True, [])


@pytest.mark.parametrize("case", _STORED, ids=_case)
async def test_an_acceptance_of_then_is_verified_and_shown(
    api: RunningApi, org: Organization, case: dict[str, Any]
) -> None:
    quote, path = await stored(api, org, case, "accepted")
    await _check_intact(org, quote)
    page = await api.anonymous.get(path)
    total = read_document(case["document"].encode()).total_text
    text = page.content.decode()
    assert (page.status, "Accepted by Ann Lee" in text) == (200, True)
    assert f"total {total}." in text
    assert (await api.anonymous.get(f"{path}/quote.pdf")).content == _bytes(case["pdf"])


@pytest.mark.parametrize("case", _STORED, ids=_case)
async def test_a_quote_that_was_sent_then_is_accepted_now(
    api: RunningApi, org: Organization, case: dict[str, Any]
) -> None:
    quote, path = await stored(api, org, case, "sent")
    assert (await api.anonymous.get(path)).status == 200
    assert (await form(api, f"{path}/accept", **CONSENT)).status == 200
    await _check_intact(org, quote)
    entries = (await org.admin.get(f"/v1/quotes/{quote['id']}")).json["evidence"]
    assert [entry["kind"] for entry in entries] == ["sent", "viewed", "accepted"]
    assert entries[-1]["consent_version"] == CONSENT_VERSION
    words = text_of(await accepted_pdf(org.admin, quote))
    currency, amount = read_document(case["document"].encode()).total_text.split()
    assert f"Total {currency} {amount}" in words
    assert "Accepted by Ann Lee" in words
