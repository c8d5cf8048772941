"""The sums of quotes, their table of states, and their evidence."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.quotes.evidence import (
    EvidenceEntry,
    QuoteFiles,
    SentQuote,
    canonical,
    evidence_faults,
    hex_hash,
    next_entry,
)
from operations.quotes.states import (
    QUOTE_MOVES,
    QUOTE_STATES,
    QUOTES,
    check_editable,
    check_revisable,
)
from operations.quotes.sums import (
    MAX_QUANTITY_THOUSANDTHS,
    MAX_UNIT_PRICE_CENTS,
    WHOLE_IN_BASIS_POINTS,
    QuoteLine,
    line_sums,
    quote_sums,
)
from operations.states import IllegalMoveError

ROOT = Path(__file__).parents[2]
_RATES = st.integers(0, WHOLE_IN_BASIS_POINTS)
_LINES = st.builds(
    QuoteLine,
    st.just("Work"),
    st.integers(0, MAX_QUANTITY_THOUSANDTHS),
    st.integers(0, MAX_UNIT_PRICE_CENTS) | st.integers(0, 10),
    _RATES,
    _RATES,
)


def rounded(exact: Decimal) -> int:
    """Round half up, as the rule says."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@given(_LINES)
def test_a_line_is_rounded_as_decimal_rounds_it(line: QuoteLine) -> None:
    amount = Decimal(line.quantity_thousandths) / 1000 * line.unit_price_cents
    kept = 1 - Decimal(line.discount_basis_points) / 10_000
    sums = line_sums(line)
    assert sums.amount_cents == rounded(amount)
    assert sums.net_cents == rounded(amount * kept)
    assert sums.tax_cents == rounded(sums.net_cents * Decimal(line.tax_basis_points) / 10_000)


@given(st.lists(_LINES, max_size=20))
def test_the_sums_add_up_whatever_the_order_of_lines(lines: list[QuoteLine]) -> None:
    sums = quote_sums(lines)
    assert sums == quote_sums(reversed(lines))
    assert sums.total_cents == sums.subtotal_cents - sums.discount_cents + sums.tax_cents
    assert 0 <= sums.discount_cents <= sums.subtotal_cents
    assert sums.tax_cents >= 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (QuoteLine("half a cent goes up", 500, 1), (1, 1, 0)),
        (QuoteLine("less than half goes down", 499, 1), (0, 0, 0)),
        (QuoteLine("a discount is rounded once", 1500, 1, 5000), (2, 1, 0)),
        (QuoteLine("tax is of the net amount", 1000, 10_000, 1000, 810), (10_000, 9_000, 729)),
        (QuoteLine("all of it off", 1000, 999, 10_000, 810), (999, 0, 0)),
    ],
    ids=lambda value: value.description if isinstance(value, QuoteLine) else "",
)
def test_near_halves(line: QuoteLine, expected: tuple[int, int, int]) -> None:
    assert line_sums(line) == expected


LEGAL = {(each.state, each.verb): each.then for each in QUOTE_MOVES}


def test_every_state_but_draft_is_reached_and_verbs_lead_to_one_state() -> None:
    assert len(LEGAL) == len(QUOTE_MOVES)
    assert set(LEGAL.values()) | {"draft"} == set(QUOTE_STATES)


def test_nobody_says_view_or_supersede() -> None:
    silent = {each.verb for each in QUOTE_MOVES if not each.roles}
    assert silent == {"view", "supersede"}
    assert {state: QUOTES.legal_verbs(state) for state in QUOTE_STATES} == {
        "draft": ("send",),
        "sent": ("accept", "decline", "expire"),
        "viewed": ("accept", "decline", "expire"),
        **dict.fromkeys(("accepted", "declined", "expired", "superseded"), ()),
    }


def test_a_refusal_is_a_sentence_for_a_verb_and_for_another_action() -> None:
    with pytest.raises(IllegalMoveError) as verb:
        QUOTES.move("draft", "accept")
    assert str(verb.value) == (
        "the verb accept is not legal for a quote whose status is draft; legal is: send"
    )
    with pytest.raises(IllegalMoveError) as action:
        check_revisable("accepted")
    assert str(action.value) == (
        "to revise is not legal for a quote whose status is accepted; legal is: nothing"
    )


@pytest.mark.parametrize("state", QUOTE_STATES)
def test_only_a_draft_is_edited_and_an_end_is_not_revised(state) -> None:
    for check, legal in ((check_editable, {"draft"}), (check_revisable, set(QUOTE_STATES))):
        legal -= {"draft", "accepted", "superseded"} if check is check_revisable else set()
        if state in legal:
            check(state)
        else:
            with pytest.raises(IllegalMoveError):
                check(state)


def test_the_page_has_the_table_and_the_diagram() -> None:
    page = (ROOT / "docs/quotes.md").read_text()
    rows = {
        (cells[0].strip(" `"), cells[1].strip(" `"), cells[2].strip(" `"))
        for line in page.splitlines()
        if line.startswith("| `") and len(cells := line.strip("| ").split("|")) == 4
    }
    assert rows == {(each.state, each.verb, each.then) for each in QUOTE_MOVES}
    drawn = {
        tuple(part.strip() for part in line.replace("-->", ":").split(":"))
        for line in page.splitlines()
        if "-->" in line and "[*]" not in line
    }
    assert drawn == {(each.state, each.then, each.verb) for each in QUOTE_MOVES}


@dataclass
class _Kept:
    """Everything that is kept about an accepted quote."""

    files: QuoteFiles
    chain: list[EvidenceEntry]


QUOTE = SentQuote("accepted", "quo_1", 1042, 1, "EUR", 1000, 0, 190, 1190)


def kept() -> _Kept:
    facts = QUOTE._asdict()
    del facts["state"]
    files = QuoteFiles(canonical({"title": "é"} | facts), b"%PDF", b"\x89PNG")
    chain: list[EvidenceEntry] = []
    hashes = {
        "document_sha256": hex_hash(files.document),
        "pdf_sha256": hex_hash(files.pdf),
        "signature_sha256": hex_hash(b"\x89PNG"),
    }
    chain.append(next_entry(chain, "sent", "2026-03-01T12:00:00Z", {"sent_to": "a@b.c"}))
    chain.append(next_entry(chain, "viewed", "2026-03-01T13:00:00Z", {"ip": "::1"}))
    chain.append(next_entry(chain, "accepted", "2026-03-01T14:00:00Z", {"name": "A"} | hashes))
    return _Kept(files, chain)


def test_evidence_that_is_as_it_was_has_no_faults() -> None:
    assert evidence_faults(QUOTE, kept().files, kept().chain) == ()


@pytest.mark.parametrize("part", ["document", "pdf", "signature_png"])
def test_any_changed_byte_of_a_file_is_found(part: str) -> None:
    whole = kept()
    content: bytes = getattr(whole.files, part)
    for place, bit in product(range(len(content)), range(8)):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        files = whole.files._replace(**{part: bytes(changed)})
        assert evidence_faults(QUOTE, files, whole.chain), (part, place, bit)


def test_any_changed_byte_of_an_entry_is_found_even_with_a_new_hash() -> None:
    whole = kept()
    for number, entry in enumerate(whole.chain[:-1]):
        for place in range(len(entry.content)):
            changed = bytearray(entry.content)
            changed[place] ^= 1
            as_it_was = entry._replace(content=bytes(changed))
            assert evidence_faults(
                QUOTE, whole.files, [*whole.chain[:number], as_it_was, *whole.chain[number + 1 :]]
            )
    first = whole.chain[0].facts() | {"sent_to": "x@b.c"}
    content = canonical(first)
    forged = EvidenceEntry(content, bytes.fromhex(hex_hash(content)))
    faults = evidence_faults(QUOTE, whole.files, [forged, *whole.chain[1:]])
    assert faults == ("Entry 2 does not follow the entry before.",)


def test_a_missing_entry_is_found() -> None:
    whole = kept()
    assert evidence_faults(QUOTE, whole.files, whole.chain[1:])
    assert evidence_faults(QUOTE, whole.files, [whole.chain[0], whole.chain[2]])


@pytest.mark.parametrize(
    ("state", "entries", "fault"),
    [
        ("accepted", 0, "The entry of its sending is missing."),
        ("sent", 0, "The entry of its sending is missing."),
        ("accepted", 1, "The quote is accepted, and the last entry does not say so."),
        ("accepted", 2, "The quote is accepted, and the last entry does not say so."),
        ("declined", 3, "The quote is declined, and the last entry does not say so."),
        ("viewed", 1, "The entry of its first view is missing."),
        ("viewed", 2, None),
        ("expired", 1, None),
        ("superseded", 2, None),
    ],
)
def test_entries_missing_at_the_end_are_found(state: str, entries: int, fault: str | None) -> None:
    whole = kept()
    faults = evidence_faults(QUOTE._replace(state=state), whole.files, whole.chain[:entries])
    assert faults == (() if fault is None else (fault,))


def test_a_missing_document_and_a_strange_entry_are_faults() -> None:
    whole = kept()
    assert evidence_faults(QUOTE, None, []) == ("The document is missing.",)
    content = canonical({"kind": "sent"})
    first = EvidenceEntry(content, bytes.fromhex(hex_hash(content)))
    no_object = EvidenceEntry(b"[]", bytes.fromhex(hex_hash(b"[]")))
    assert evidence_faults(QUOTE, whole.files, [no_object])
    assert evidence_faults(QUOTE, whole.files, [first, *whole.chain[1:]])


@pytest.mark.parametrize("field", ["quote_id", "revision", "currency", "total_cents"])
def test_a_row_that_is_not_as_the_document_is_found(field: str) -> None:
    whole = kept()
    changed = QUOTE._replace(**{field: 7})
    faults = evidence_faults(changed, whole.files, whole.chain)
    assert faults == (f"The document's {field} is not the quote's.",)


def test_a_canonical_text_does_not_depend_on_the_order_of_fields() -> None:
    assert canonical({"b": 1, "a": "é\n"}) == '{"a":"é\\n","b":1}'.encode()
