"""The languages of what the server writes. Each has a catalogue beside this file."""

from typing import Literal, TypeAlias, get_args

Language: TypeAlias = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
USUAL: Language = "en"
"""The language of whoever has chosen none, and of what was written when there was one alone."""
