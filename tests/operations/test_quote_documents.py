"""Documents of quotes: their figures, as worked out by hand, and those that were stored before."""

import base64
import json
import tomllib
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.catalogue import say
from operations.money import minor_digits
from operations.quotes.document import (
    QuoteDocument,
    document_line,
    read_document,
    taxes_by_rate,
)
from operations.quotes.evidence import (
    CONSENT_VERSION,
    EvidenceEntry,
    QuoteFiles,
    SentQuote,
    acceptance_in,
    canonical,
    evidence_faults,
)
from operations.quotes.sums import QuoteLine, quote_sums

_CASES = Path(__file__).parents[1] / "cases"
_WORKED_OUT = tomllib.loads((_CASES / "quote_sums.toml").read_text())["quotes"]
_STORED = json.loads((_CASES / "stored_quotes.json").read_text())


def _case(case: dict[str, Any]) -> str:
    return case["case"]


def _whole(text: str, digits: int) -> int:
    """Return a decimal fraction as a whole number of its last digit."""
    whole, _, rest = text.replace(",", "").partition(".")
    return int(whole + rest.ljust(digits, "0"))


def _lines(case: dict[str, Any]) -> list[QuoteLine]:
    digits = minor_digits(case["currency"])
    return [
        QuoteLine(
            "Work",
            _whole(quantity, 3),
            _whole(price, digits),
            _whole(discount, 2),
            _whole(tax, 2),
            unit=unit or None,
        )
        for quantity, unit, price, discount, tax in case["lines"]
    ]


def _document(lines: list[QuoteLine], currency: str) -> QuoteDocument:
    return QuoteDocument(
        quote_id="quo_01jd8x0k2m4n6p8q0r2s4t6v8w",
        number=1,
        revision=1,
        organization="Keller Tiefbau AG",
        client_name="Frei Immobilien AG",
        client_address=None,
        title="Lot 4",
        currency=currency,
        issued_on=date(2026, 3, 2),
        valid_until=date(2026, 4, 2),
        timezone="Europe/Zurich",
        lines=tuple(map(document_line, lines)),
        **quote_sums(lines)._asdict(),
        terms=None,
        notes=None,
    )


@pytest.mark.parametrize("case", _WORKED_OUT, ids=_case)
def test_the_sums_are_those_that_were_worked_out_by_hand(case: dict[str, Any]) -> None:
    document = _document(_lines(case), case["currency"])
    amount = document.amount_text
    assert {
        "subtotal": amount(document.subtotal_cents),
        "discount": amount(document.discount_cents),
        "tax": amount(document.tax_cents),
        "total": amount(document.total_cents),
    } == {name: case[name] for name in ("subtotal", "discount", "tax", "total")}
    taxes = [
        (tax.tax_basis_points, amount(tax.net_cents), amount(tax.tax_cents))
        for tax in taxes_by_rate(document.lines)
    ]
    assert taxes == [(_whole(rate, 2), net, tax) for rate, net, tax in case["taxes"]]
    assert document.total_text == f"{case['currency']} {case['total']}"


@given(
    st.lists(
        st.builds(
            QuoteLine,
            st.just("Work"),
            st.integers(1, 10**9),
            st.integers(0, 10**9),
            st.integers(0, 10_000),
            st.sampled_from([0, 260, 810, 1900]),
        ),
        max_size=20,
    )
)
def test_the_tax_by_rate_adds_up_to_the_tax_of_the_quote(lines: list[QuoteLine]) -> None:
    taxes, sums = taxes_by_rate(map(document_line, lines)), quote_sums(lines)
    assert sum(tax.tax_cents for tax in taxes) == sums.tax_cents
    assert sum(tax.net_cents for tax in taxes) == sums.subtotal_cents - sums.discount_cents
    assert [tax.tax_basis_points for tax in taxes] == sorted({n.tax_basis_points for n in lines})


def test_a_document_says_its_form_and_the_units_of_its_lines() -> None:
    written = _document([QuoteLine("Work", 1_000, 100, unit="h")], "JPY").canonical()
    document = read_document(written)
    assert (document.format, document.lines[0].unit, document.total_text) == (
        "quote-4",
        "h",
        "JPY 100",
    )
    assert document.canonical() == written


# What was stored by earlier versions --------------------------------------------------------------


def _files(stored: dict[str, Any]) -> QuoteFiles:
    def content(name: str) -> bytes | None:
        return None if stored[name] is None else base64.b64decode(stored[name])

    pdf = content("pdf")
    assert pdf is not None
    return QuoteFiles(stored["document"].encode(), pdf, content("signature_png"), content("logo"))


def _chain(stored: dict[str, Any]) -> list[EvidenceEntry]:
    entries = stored["entries"]
    return [EvidenceEntry(text.encode(), bytes.fromhex(digest)) for text, digest in entries]


def _sent_quote(document: QuoteDocument) -> SentQuote:
    label = document.quote_id, document.number, document.revision
    return SentQuote("accepted", *label, document.currency, *document.sums)


@pytest.mark.parametrize("stored", _STORED, ids=_case)
def test_evidence_that_was_stored_before_is_verified_for_ever(stored: dict[str, Any]) -> None:
    quote = _sent_quote(read_document(stored["document"].encode()))
    assert evidence_faults(quote, _files(stored), _chain(stored)) == ()
    said = acceptance_in(_chain(stored))
    assert said is not None
    assert said.name == "Ann Lee"
    if said.how != "by_hand":
        facts = _chain(stored)[-1].facts()
        assert facts["consent_version"] == "1" != CONSENT_VERSION
        assert said.consent_text == facts["consent_text"] != say("en", "consent")


@pytest.mark.parametrize("stored", _STORED, ids=_case)
def test_sums_that_were_stored_before_are_those_of_their_lines(stored: dict[str, Any]) -> None:
    document = read_document(stored["document"].encode())
    lines = [
        QuoteLine(
            line.description,
            line.quantity_thousandths,
            line.unit_price_cents,
            line.discount_basis_points,
            line.tax_basis_points,
        )
        for line in document.lines
    ]
    assert quote_sums(lines) == document.sums
    assert tuple(map(document_line, lines)) == document.lines
    assert sum(tax.tax_cents for tax in taxes_by_rate(document.lines)) == document.tax_cents


def test_amounts_of_an_earlier_form_are_hundredths_as_they_were_printed() -> None:
    texts = {
        (document.format, document.total_text)
        for document in (read_document(stored["document"].encode()) for stored in _STORED)
    }
    assert texts == {
        ("quote-1", "CHF 3,422.79"),
        ("quote-2", "CHF 3,422.79"),
        ("quote-2", "JPY 3,422.79"),
    }


def test_a_changed_pdf_of_an_acceptance_is_found() -> None:
    stored = _STORED[0]
    chain, files = _chain(stored), _files(stored)
    facts = chain[-1].facts() | {"acceptance_pdf_sha256": "0" * 64}
    content = canonical(facts)
    forged = [*chain[:-1], EvidenceEntry(content, sha256(content).digest())]
    quote = _sent_quote(read_document(files.document))
    for pdf in (None, b"%PDF"):
        faults = evidence_faults(quote, files._replace(acceptance_pdf=pdf), forged)
        assert faults == ("The PDF of the acceptance is not the one of entry 3.",)
