"""Printing by typst: a template and texts in, the bytes of a PDF out.

A template says texts by their names in the catalogues, as in `say("quote-terms")`, and fills in
their variables, as in `say("order-label", number: 48)`. Names of the API have families of texts, as
in `named("order-state", "on_hold")`. A text whose forms depend on a number is in the document.

The same texts give the same bytes, as long as the fonts are the same. No package is downloaded, and
no font of the system is needed: the embedded ones have Latin, Greek and Cyrillic letters. What they
lack, such as Chinese characters, is taken from the fonts of the machine if it has any.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from typst import Compiler, Fonts

from api.documents.timesheet import DocumentError
from languages.catalogue import names_in, say
from languages.language import Language

_TEMPLATES = files("api.documents").joinpath("templates")
MAX_CHARACTERS = 400_000  # some four seconds
_COST_OF_A_LINE = 20  # as that of so many characters


def template(name: str) -> bytes:
    """Return a template."""
    return _TEMPLATES.joinpath(f"{name}.typ").read_bytes()


_COMMON = template("common")
_SAID = re.compile(r'say\("([a-z0-9-]+)"')
_NAMED = re.compile(r'named\("([a-z-]+)"')
VARIABLES = ("end", "form", "hours", "number", "page", "pages", "photos", "result", "start")
"""The variables that templates fill in."""


@cache
def fixed_texts(template: bytes, language: Language) -> str:
    """Return the texts that a template says, as JSON, with `$number` where that is to be filled
    in.
    """
    source, blanks = (template + _COMMON).decode(), {each: f"${each}" for each in VARIABLES}
    names = set(_SAID.findall(source)).union(*map(names_in, _NAMED.findall(source)))
    texts = {name: say(language, name, **blanks) for name in sorted(names)}
    return msgspec.json.encode(texts).decode()


def picture_name(stem: str, content: bytes) -> str:
    """Return the file name of a JPEG or PNG."""
    return f"{stem}.png" if content.startswith(b"\x89PNG") else f"{stem}.jpg"


def check_length(texts: object) -> None:
    """Raise DocumentError for texts that would take typst many seconds."""
    data = msgspec.json.encode(texts)
    if len(data) + _COST_OF_A_LINE * data.count(b"\\n") > MAX_CHARACTERS:
        problem = f"there are too many; a document has at most {MAX_CHARACTERS:,}"
        raise DocumentError("characters", problem)


class TypstPrinter:
    """A printer.

    uses_system_fonts: for letters that the embedded fonts do not have.
    """

    def __init__(self, *, uses_system_fonts: bool = True) -> None:
        self._uses_system_fonts = uses_system_fonts

    def printed(
        self,
        template: bytes,
        language: Language,
        texts: object,
        made_at: datetime,
        pictures: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """Return the PDF that a template makes of texts. pictures: files that the template reads,
        by name: JPEG or PNG, decoded before and found to be small.
        """
        data = msgspec.json.encode(texts).decode()
        compiler = Compiler(root=Path(__file__).parent, font_paths=fonts(self._uses_system_fonts))
        with TemporaryDirectory(prefix="opsc-document-") as folder:
            for name, picture in (pictures or {}).items():
                Path(folder, name).write_bytes(picture)
            content = compiler.compile(
                {"main.typ": template, "common.typ": _COMMON},  # type: ignore[arg-type]  # not in its stub
                root=folder,
                sys_inputs={
                    "document": data,
                    "language": language,
                    "texts": fixed_texts(template, language),
                },
                timestamp=int(made_at.timestamp()),
            )
        assert isinstance(content, bytes)
        return content


@cache
def fonts(uses_system_fonts: bool = True) -> Fonts:
    """Return the list of fonts, which is read once."""
    return Fonts(include_system_fonts=uses_system_fonts)
