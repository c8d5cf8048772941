"""The letterhead of an organization, at the top of each document: logo, name and address. Its
documents are in its language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from api.documents.texts import one_line, paragraph
from api.documents.typst_printer import picture_name
from languages.language import USUAL, Language

_WIDTH_MM, _HEIGHT_MM = 60, 18


class Logo(NamedTuple):
    """A logo, decoded before and written anew. thumb: a small JPEG."""

    content: bytes
    width_px: int
    height_px: int
    thumb: bytes


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The address and the logo of an organization, as far as it has them, and the language of what
    is written on it.
    """

    address: str | None = None
    logo: Logo | None = None
    language: Language = USUAL

    @property
    def files(self) -> Mapping[str, bytes]:
        """The files that a template reads."""
        return (
            {}
            if self.logo is None
            else {picture_name("logo", self.logo.content): self.logo.content}
        )


NO_LETTERHEAD = Letterhead()


class PrintedLetterhead(msgspec.Struct, frozen=True):
    """The texts of a letterhead. logo: the name of a file; "" where there is none."""

    organization: str
    address: str
    logo: str
    logo_width_mm: float


def printed_letterhead(organization: str, letterhead: Letterhead) -> PrintedLetterhead:
    """Return the texts, and the width at which the logo fits in its place."""
    logo, width_mm = letterhead.logo, 0.0
    if logo is not None:
        width_mm = min(_WIDTH_MM, _HEIGHT_MM * logo.width_px / logo.height_px)
    return PrintedLetterhead(
        organization=one_line(organization),
        address=paragraph(letterhead.address),
        logo=next(iter(letterhead.files), ""),
        logo_width_mm=round(width_mm, 2),
    )
