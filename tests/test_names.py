"""A name means one thing: no two public classes share one."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
WINGS = (
    "api",
    "db",
    "device_sim",
    "geofence",
    "ingest",
    "languages",
    "listener",
    "mqtt",
    "operations",
    "service",
    "stack",
    "telemetry",
    "use_cases",
    "webhooks",
)


def test_public_classes_have_names_of_their_own() -> None:
    places = defaultdict[str, list[str]](list)
    for path in (path for wing in WINGS for path in ROOT.glob(f"{wing}/**/*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert len(places) > 500
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
