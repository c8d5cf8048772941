"""The evidence of a quote: what was sent, seen and signed, as a chain of hashes.

A document is one canonical JSON text (RFC 8785) of texts and whole numbers. Each entry of the chain
is such a text too, and has the hash of the entry before. Whoever changes a byte of the document, of
the PDF, of a signature or of an entry breaks a hash that a later entry has.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec
import rfc8785

EvidenceKind = Literal["sent", "viewed", "accepted", "accepted_by_hand", "declined"]
AcceptedHow = Literal["typed", "drawn", "by_hand"]
"""By a typed name or a drawn signature of the customer; by hand: a user noted what they said."""
CONSENT_VERSION = "2"
"""Of the text `consent` in the catalogues. An entry has its text, too, so that those of version 1
stay readable.
"""


class EvidenceEntry(NamedTuple):
    """An entry of the chain. content: canonical JSON. sha256: of the content."""

    content: bytes
    sha256: bytes

    def facts(self) -> dict[str, Any]:
        """Return what the entry says."""
        return msgspec.json.decode(self.content)


class QuoteFiles(NamedTuple):
    """The things that entries have the hashes of. signature_png: None where none was drawn. logo: a
    small one, whose hash the document has. acceptance_pdf: the document with its acceptance; None
    where it is not accepted, or was before this was kept.
    """

    document: bytes
    pdf: bytes
    signature_png: bytes | None
    logo: bytes | None = None
    acceptance_pdf: bytes | None = None


class QuoteAcceptance(NamedTuple):
    """An acceptance as its entry says it. consent_text: "" where a user noted it."""

    name: str
    at: datetime
    how: AcceptedHow
    consent_text: str
    document_sha256: str


class SentQuote(NamedTuple):
    """The facts in the row of a quote that was sent; its document has all but the state, too."""

    state: str
    quote_id: str
    number: int
    revision: int
    currency: str
    subtotal_cents: int
    discount_cents: int
    tax_cents: int
    total_cents: int


_ENDS: Mapping[str, tuple[EvidenceKind, ...]] = {
    "accepted": ("accepted", "accepted_by_hand"),
    "declined": ("declined",),
}
"""The kinds of the last entry, by the state of the quote."""


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the JSON text of a value by RFC 8785."""
    return rfc8785.dumps(dict(value))


def hex_hash(content: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return sha256(content).hexdigest()


def next_entry(
    before: Sequence[EvidenceEntry], kind: EvidenceKind, at: str, facts: Mapping[str, Any]
) -> EvidenceEntry:
    """Return the entry that follows in a chain. at: RFC 3339."""
    previous = before[-1].sha256.hex() if before else None
    content = canonical({"kind": kind, "at": at, "previous_sha256": previous, **facts})
    return EvidenceEntry(content, sha256(content).digest())


def acceptance_in(chain: Sequence[EvidenceEntry]) -> QuoteAcceptance | None:
    """Return the acceptance at the end of a chain; None where it ends with something else."""
    facts = chain[-1].facts() if chain else {}
    if facts.get("kind") not in _ENDS["accepted"]:
        return None
    return acceptance_of(facts)


def acceptance_of(facts: Mapping[str, Any]) -> QuoteAcceptance:
    """Return the acceptance that the facts of an entry say."""
    is_by_hand = facts["kind"] == "accepted_by_hand"
    return QuoteAcceptance(
        name=facts["name"],
        at=datetime.fromisoformat(facts["at"]),
        how="by_hand" if is_by_hand else facts["signature"],
        consent_text=facts.get("consent_text", ""),
        document_sha256=facts["document_sha256"],
    )


def evidence_faults(
    quote: SentQuote, files: QuoteFiles | None, chain: Sequence[EvidenceEntry]
) -> tuple[str, ...]:
    """Return each thing that is not as it was, as a sentence; nothing where all is well.

    quote: what its own row says, so that nothing at the end of the chain can be left away.
    """
    if files is None:
        return ("The document is missing.",)
    faults: list[str] = []
    if _is_canonical(files.document):
        document: dict[str, Any] = msgspec.json.decode(files.document)
        faults += _other_facts(quote, document)
        if document.get("logo_sha256") != _hash_of(files.logo):
            faults.append("The logo is not the one of the document.")
    else:
        faults.append("The document is not canonical JSON.")
    kinds: list[object] = []
    previous: str | None = None
    for place, entry in enumerate(chain, 1):
        if sha256(entry.content).digest() != entry.sha256 or not _is_canonical(entry.content):
            faults.append(f"Entry {place} is not as it was written.")
            break
        facts = entry.facts()
        if facts.get("previous_sha256") != previous or "kind" not in facts:
            faults.append(f"Entry {place} does not follow the entry before.")
        faults += _changed_files(place, facts, files)
        previous = entry.sha256.hex()
        kinds.append(facts.get("kind"))
    if not faults:
        faults += _missing_entries(quote.state, kinds)
    return tuple(dict.fromkeys(faults))


def _other_facts(quote: SentQuote, document: Mapping[str, Any]) -> list[str]:
    facts = quote._asdict()
    del facts["state"]
    return [
        f"The document's {field} is not the quote's."
        for field, value in facts.items()
        if document.get(field) != value
    ]


def _missing_entries(state: str, kinds: Sequence[object]) -> list[str]:
    if not kinds or kinds[0] != "sent":
        return ["The entry of its sending is missing."]
    if state == "viewed" and "viewed" not in kinds:
        return ["The entry of its first view is missing."]
    ends = _ENDS.get(state, ())
    if ends and kinds[-1] not in ends:
        return [f"The quote is {state}, and the last entry does not say so."]
    return []


def _changed_files(place: int, facts: Mapping[str, Any], files: QuoteFiles) -> list[str]:
    hashes = {
        "document_sha256": ("document", hex_hash(files.document)),
        "pdf_sha256": ("PDF", hex_hash(files.pdf)),
        "signature_sha256": ("signature", _hash_of(files.signature_png)),
        "acceptance_pdf_sha256": ("PDF of the acceptance", _hash_of(files.acceptance_pdf)),
    }
    return [
        f"The {name} is not the one of entry {place}."
        for field, (name, found) in hashes.items()
        if field in facts and facts[field] != found
    ]


def _hash_of(content: bytes | None) -> str | None:
    return None if content is None else hex_hash(content)


def _is_canonical(content: bytes) -> bool:
    try:
        return rfc8785.dumps(msgspec.json.decode(content, type=dict[str, Any])) == content
    except (msgspec.DecodeError, UnicodeDecodeError, rfc8785.CanonicalizationError):
        return False
