"""Printing by typst: a template and texts in, the bytes of a PDF out.

The same texts give the same bytes, as long as the fonts are the same. No package is downloaded, and
no font of the system is needed: the embedded ones have Latin, Greek and Cyrillic letters. What they
lack, such as Chinese characters, is taken from the fonts of the machine if it has any.
"""

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from typst import Compiler, Fonts

from api.documents.timesheet import DocumentError

_TEMPLATES = files("api.documents").joinpath("templates")
MAX_CHARACTERS = 400_000  # some four seconds
_COST_OF_A_LINE = 20  # as that of so many characters
_REMEMBERED = 10  # documents whose parts typst keeps for the next ones


def template(name: str) -> bytes:
    """Return a template."""
    return _TEMPLATES.joinpath(f"{name}.typ").read_bytes()


_COMMON = template("common")


def picture_name(stem: str, content: bytes) -> str:
    """Return the file name of a JPEG or PNG."""
    return f"{stem}.png" if content.startswith(b"\x89PNG") else f"{stem}.jpg"


def check_length(texts: msgspec.Struct) -> None:
    """Raise DocumentError for texts that would take typst many seconds."""
    data = msgspec.json.encode(texts)
    if len(data) + _COST_OF_A_LINE * data.count(b"\\n") > MAX_CHARACTERS:
        problem = f"there are too many; a document has at most {MAX_CHARACTERS:,}"
        raise DocumentError("characters", problem)


class TypstPrinter:
    """A printer for one thread at a time. typst releases the interpreter meanwhile.

    uses_system_fonts: for letters that the embedded fonts do not have.
    """

    def __init__(self, *, uses_system_fonts: bool = True) -> None:
        self._uses_system_fonts = uses_system_fonts
        self._compiler: Compiler | None = None

    def printed(
        self,
        template: bytes,
        texts: msgspec.Struct,
        made_at: datetime,
        pictures: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """Return the PDF that a template makes of texts. pictures: files that the template reads,
        by name: JPEG or PNG, decoded before and found to be small.
        """
        data = msgspec.json.encode(texts).decode()
        compiler = self._compiler or self._new_compiler()
        self._compiler = None  # one that failed is not used again
        with TemporaryDirectory(prefix="opsc-document-") as folder:
            for name, picture in (pictures or {}).items():
                Path(folder, name).write_bytes(picture)
            content = compiler.compile(
                {"main.typ": template, "common.typ": _COMMON},  # type: ignore[arg-type]  # not in its stub
                root=folder,
                sys_inputs={"document": data},
                timestamp=int(made_at.timestamp()),
            )
        _forget(compiler)
        self._compiler = compiler
        assert isinstance(content, bytes)
        return content

    def _new_compiler(self) -> Compiler:
        """Return a compiler. It is kept, since making one reads the list of all fonts."""
        fonts = Fonts(include_system_fonts=self._uses_system_fonts)
        return Compiler(root=Path(__file__).parent, font_paths=fonts)


def _forget(compiler: Compiler) -> None:
    """Drop the parts of a document that typst keeps, up to a hundred megabytes: no other document
    has a use for them. Empty pages take their place.
    """
    for _ in range(_REMEMBERED + 1):
        compiler.compile(b"", sys_inputs=None, format="svg")
