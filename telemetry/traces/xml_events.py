"""XML as a stream of elements. Entities and document types are refused (defusedxml)."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportMissingTypeStubs=false, reportMissingModuleSource=false
# (defusedxml has no type information of its own)

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse


def events(source: Any) -> Iterator[tuple[str, Any]]:
    """Yield `start` and `end` of each element. Raises ParseError and DefusedXmlException."""
    return iter(iterparse(source, events=("start", "end"), forbid_dtd=True))


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
