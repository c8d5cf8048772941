"""SQL as the application's role cannot do what the rules of quotes forbid."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from operations.quotes.evidence import hex_hash
from operations.quotes.sums import QuoteLine, quote_sums
from tests.db.rules.proving import (
    LINE,
    Statement,
    become,
    evidence_of,
    put,
    quote_in,
    refusal,
)
from tests.servers import DatabaseUnderTest


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("subtotal_cents = 1, discount_cents = 1", "quotes_content"),
        ("sent_to = 'x@example.com'", "quotes_content"),
        ("sent_at = now()", "quotes_times"),
        ("mail_state = 'failed'", "quotes_times"),
        ("viewed_at = now()", "quotes_times"),
        ("decided_by = 'x'", "quotes_times"),
        ("decline_reason = 'x'", "quotes_times"),
        ("decided_at = now()", "quotes_times"),
        ("deleted_at = now()", "quotes_stay"),
    ],
)
@pytest.mark.parametrize("state", ["sent", "viewed", "accepted"])
async def test_what_is_known_of_a_quote_stays(
    database: DatabaseUnderTest, org_id: UUID, state: str, change: str, constraint: str
) -> None:
    quote_id = quote_in(database, org_id, state, document=True)
    changed = f"UPDATE quotes SET {change} WHERE id = %s", (quote_id,)
    assert await refusal(database, org_id, changed) == constraint


async def test_of_the_revisions_of_a_quote_one_stands(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    first = quote_in(database, org_id, "sent", document=True)
    later = quote_in(database, org_id, "draft", document=True)
    put(
        database,
        (
            "UPDATE quotes SET revision = 2, number = (SELECT number FROM quotes WHERE id = %s)"
            " WHERE id = %s",
            (first, later),
        ),
    )
    assert await refusal(database, org_id, become(later, "sent")) == "quotes_one_stands"
    put(database, ("UPDATE quotes SET mail_state = 'queued' WHERE id = %s", (later,)))
    accepted = become(first, "accepted"), evidence_of(database, first, "accepted")
    assert await refusal(database, org_id, *accepted) == "quotes_overtaken"
    put(database, ("UPDATE quotes SET mail_state = NULL WHERE id = %s", (later,)))
    assert await refusal(database, org_id, *accepted) is None
    put(database, _document(later))
    queued = "UPDATE quotes SET mail_state = 'queued' WHERE id = %s", (later,)
    assert await refusal(database, org_id, queued) == "quotes_overtaken"


def _document(quote_id: UUID, **other: object) -> Statement:
    """Return the statement that makes the document say what the quote says, but for `other`."""
    return (
        "UPDATE quote_documents SET content = convert_to((to_jsonb(quotes) || %s)::text, 'UTF8')"
        " FROM quotes WHERE quotes.id = quote_id AND quote_id = %s",
        (Jsonb(other), quote_id),
    )


@pytest.mark.parametrize(
    "other", [{"total_cents": 1}, {"title": "y"}, {"valid_until": "2098-01-01"}, {"notes": "y"}]
)
async def test_the_document_that_is_sent_says_what_the_quote_says(
    database: DatabaseUnderTest, org_id: UUID, other: dict[str, object]
) -> None:
    quote_id = quote_in(database, org_id, "draft", document=True)
    queued = "UPDATE quotes SET mail_state = 'queued' WHERE id = %s", (quote_id,)
    put(database, _document(quote_id, **other))
    assert await refusal(database, org_id, queued) == "quotes_document"
    put(database, _document(quote_id))
    assert await refusal(database, org_id, queued) is None
    changed = _document(quote_id, **other)
    assert await refusal(database, org_id, changed) == "quote_documents_content"


async def test_nothing_is_accepted_after_its_last_day(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    quote_id = quote_in(database, org_id, "sent", document=True)
    late = "UPDATE quotes SET valid_until = current_date - 2 WHERE id = %s", (quote_id,)
    put(database, late)
    accepted = become(quote_id, "accepted"), evidence_of(database, quote_id, "accepted")
    assert await refusal(database, org_id, *accepted) == "quotes_in_time"


async def test_a_look_at_a_quote_has_its_evidence(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    quote_id = quote_in(database, org_id, "sent", document=True)
    seen = "UPDATE quotes SET state = 'viewed', viewed_at = now() WHERE id = %s", (quote_id,)
    assert await refusal(database, org_id, seen) == "quotes_evidence"
    viewed = evidence_of(database, quote_id, "viewed")
    assert await refusal(database, org_id, seen, viewed) is None
    again = evidence_of(database, quote_id, "viewed")
    assert await refusal(database, org_id, again) == "quote_evidence_follows"


@pytest.mark.parametrize(
    "facts",
    [
        {"previous_sha256": "0" * 64},
        {"document_sha256": "0" * 64},
        {"document_sha256": None},
        {"signature_sha256": "0" * 64},
        {"acceptance_pdf_sha256": "0" * 64},
    ],
)
async def test_an_entry_of_the_evidence_follows_the_one_before(
    database: DatabaseUnderTest, org_id: UUID, facts: dict[str, object]
) -> None:
    quote_id = quote_in(database, org_id, "viewed", document=True)
    wrong = evidence_of(database, quote_id, "viewed", **facts)
    assert await refusal(database, org_id, wrong) == "quote_evidence_follows"
    statement, values = evidence_of(database, quote_id, "viewed")
    assert isinstance(values, tuple)
    for wrong in (
        (statement, (*values[:3], b"x" * 32)),
        (statement, (values[0], 2, *values[2:])),
        evidence_of(database, quote_id, "accepted"),
    ):
        assert await refusal(database, org_id, wrong) == "quote_evidence_follows"
    assert await refusal(database, org_id, (statement, values)) is None


async def test_an_acceptance_has_the_hash_of_its_pdf(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    for digest, wanted in (("0" * 64, "quote_evidence_follows"), (hex_hash(b"%PDF"), None)):
        quote_id = quote_in(database, org_id, "sent", document=True)
        statement, values = evidence_of(
            database, quote_id, "accepted", acceptance_pdf_sha256=digest
        )
        assert isinstance(values, tuple)
        with_pdf = (
            statement.replace("sha256)", "sha256, pdf)").replace("%s)", "%s, %s)"),
            (*values, b"%PDF"),
        )
        assert await refusal(database, org_id, become(quote_id, "accepted"), with_pdf) == wanted


@pytest.mark.parametrize("is_confirmed", [False, True])
async def test_a_quote_whose_amounts_are_not_confirmed_is_not_sent_and_not_accepted(
    database: DatabaseUnderTest, org_id: UUID, is_confirmed: bool
) -> None:
    for state in ("draft", "sent"):
        quote_id = quote_in(database, org_id, state, document=True)
        confirmed = "UPDATE quotes SET amounts_confirmed = %s WHERE id = %s"
        put(database, (confirmed, (is_confirmed, quote_id)), _document(quote_id))
        steps: dict[str, list[Statement]] = {
            "draft": [("UPDATE quotes SET mail_state = 'queued' WHERE id = %s", (quote_id,))],
            "sent": [
                become(quote_id, "accepted"),
                evidence_of(database, quote_id, "accepted"),
            ],
        }
        wanted = None if is_confirmed else "quotes_amounts"
        assert await refusal(database, org_id, *steps[state]) == wanted


async def test_a_link_ends_that_leads_to_an_acceptance(
    database: DatabaseUnderTest, org_id: UUID
) -> None:
    for state, wanted in (("sent", "quotes_link_ended"), ("accepted", None)):
        quote_id = quote_in(database, org_id, state, document=True)
        ended = "UPDATE quotes SET link_ended_at = now() WHERE id = %s", (quote_id,)
        assert await refusal(database, org_id, ended) == wanted


_LINES = st.builds(
    QuoteLine,
    st.just("x"),
    st.integers(1, 10**9) | st.integers(1, 20),
    st.integers(0, 10**9) | st.integers(0, 100),
    st.sampled_from([0, 1, 500, 3333, 9999, 10_000]),
    st.sampled_from([0, 1, 770, 810, 1900, 10_000]),
    st.none(),
    st.sampled_from([None, "h", "pcs"]),
)


@given(lines=st.lists(_LINES, min_size=1, max_size=20))
def test_the_sums_are_those_of_the_rules(
    database: DatabaseUnderTest, lines: list[QuoteLine]
) -> None:
    stored = Jsonb([line._asdict() for line in lines])
    found = database.run("admin", "SELECT * FROM sums_of_quote(%s)", (stored,))
    assert found == [quote_sums(lines)]


@pytest.mark.parametrize(
    "change",
    [
        {"quantity_thousandths": 0},
        {"quantity_thousandths": 1.5},
        {"unit_price_cents": -1},
        {"unit_price_cents": 10**10},
        {"discount_basis_points": 10_001},
        {"tax_basis_points": -1},
        {"tax_basis_points": None},
        {"description": "x" * 1_001},
        {"description": ""},
    ],
)
async def test_a_line_that_cannot_be_has_no_sums(
    database: DatabaseUnderTest, org_id: UUID, change: dict[str, object]
) -> None:
    quote_id = quote_in(database, org_id, "draft", document=False)
    for line, wanted in ((LINE | change, "quotes_sums"), (LINE, None)):
        lines = "UPDATE quotes SET lines = %s WHERE id = %s", (Jsonb([LINE, line]), quote_id)
        assert await refusal(database, org_id, lines) == wanted
