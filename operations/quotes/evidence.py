"""The evidence of a quote: what was sent, seen and signed, as a chain of hashes.

A document is one canonical JSON text (RFC 8785) of texts and whole numbers. Each entry of the chain
is such a text too, and has the hash of the entry before. Whoever changes a byte of the document, of
the PDF, of a signature or of an entry breaks a hash that a later entry has.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec
import rfc8785

EvidenceKind = Literal["sent", "viewed", "accepted", "accepted_by_hand", "declined"]
CONSENT_VERSION = "1"
CONSENT_TEXT = (
    "I accept this quote and order the work in it at the stated price. I may do so for the"
    " customer. My electronic signature below binds like one on paper."
)


class EvidenceEntry(NamedTuple):
    """An entry of the chain. content: canonical JSON. sha256: of the content."""

    content: bytes
    sha256: bytes

    def facts(self) -> dict[str, Any]:
        """Return what the entry says."""
        return msgspec.json.decode(self.content)


class QuoteFiles(NamedTuple):
    """The things that entries have the hashes of. signature_png: None where none was drawn. logo: a
    small one, whose hash the document has.
    """

    document: bytes
    pdf: bytes
    signature_png: bytes | None
    logo: bytes | None = None


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


def evidence_faults(files: QuoteFiles, chain: Sequence[EvidenceEntry]) -> tuple[str, ...]:
    """Return each thing that is not as it was, as a sentence; nothing where all is well."""
    faults: list[str] = []
    if not _is_canonical(files.document):
        faults.append("The document is not canonical JSON.")
    elif msgspec.json.decode(files.document).get("logo_sha256") != _hash_of(files.logo):
        faults.append("The logo is not the one of the document.")
    previous: str | None = None
    for place, entry in enumerate(chain, 1):
        if sha256(entry.content).digest() != entry.sha256 or not _is_canonical(entry.content):
            faults.append(f"Entry {place} is not as it was written.")
            break
        facts = entry.facts()
        if facts["previous_sha256"] != previous:
            faults.append(f"Entry {place} does not follow the entry before.")
        faults += _changed_files(place, facts, files)
        previous = entry.sha256.hex()
    return tuple(dict.fromkeys(faults))


def _changed_files(place: int, facts: Mapping[str, Any], files: QuoteFiles) -> list[str]:
    hashes = {
        "document_sha256": ("document", hex_hash(files.document)),
        "pdf_sha256": ("PDF", hex_hash(files.pdf)),
        "signature_sha256": ("signature", _hash_of(files.signature_png)),
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
        return rfc8785.dumps(msgspec.json.decode(content)) == content
    except (msgspec.DecodeError, UnicodeDecodeError, rfc8785.CanonicalizationError):
        return False
