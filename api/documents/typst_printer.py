"""Printing by typst: a template and texts in, the bytes of a PDF out.

The same texts give the same bytes, as long as the fonts are the same. No package is downloaded, and
no font of the system is needed: the embedded ones have Latin, Greek and Cyrillic letters. What they
lack, such as Chinese characters, is taken from the fonts of the machine if it has any.
"""

from datetime import datetime
from pathlib import Path

import msgspec
from typst import Compiler, Fonts

_REMEMBERED = 10  # documents whose parts typst keeps for the next ones


class TypstPrinter:
    """A printer for one thread at a time. typst releases the interpreter meanwhile.

    uses_system_fonts: for letters that the embedded fonts do not have.
    """

    def __init__(self, *, uses_system_fonts: bool = True) -> None:
        self._uses_system_fonts = uses_system_fonts
        self._compiler: Compiler | None = None

    def printed(self, template: bytes, texts: msgspec.Struct, made_at: datetime) -> bytes:
        """Return the PDF that a template makes of texts."""
        data = msgspec.json.encode(texts).decode()
        compiler = self._compiler or self._new_compiler()
        self._compiler = None  # one that failed is not used again
        content = compiler.compile(
            template, sys_inputs={"document": data}, timestamp=int(made_at.timestamp())
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
