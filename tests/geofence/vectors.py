"""Cases taken from other projects.

They are in $OPSC_TEST_VECTORS, else in ../shared/vectors beside the checkout; so outside the
repository. Tests that read them are skipped where they are not there.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
VECTORS = Path(os.environ.get("OPSC_TEST_VECTORS", ROOT.parent / "shared" / "vectors"))

needs_vectors = pytest.mark.skipif(
    not VECTORS.is_dir(), reason=f"no cases in {VECTORS}: set OPSC_TEST_VECTORS to their folder"
)


def cases_of(name: str) -> list[dict[str, Any]]:
    """Return the cases of one file; none where it is not there."""
    path = VECTORS / f"{name}.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []
