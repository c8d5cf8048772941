"""Names of classes in the API: each is found once."""

import ast
from collections import Counter
from pathlib import Path

import api


def test_no_two_public_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for path in Path(api.__path__[0]).rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert len(names) > 100
    assert [name for name, times in names.items() if times > 1] == []
