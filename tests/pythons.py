"""The oldest and the newest supported Python, of other Debians, below var/.

`python -m tests.pythons` unpacks them where they are not yet, and prints the path of each. Needs
Debian's apt, the archive's keys, and patchelf of `make tools`; nothing is installed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from stack.host.programs import UNPACKED, ProvisionError, fetch, library_path, locked_folder
from tests.fresh.machine import FreshError, debian_sources, mirror

ROOT = Path(__file__).parents[1]
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
PATCHELF = ROOT / ".venv" / "tools" / "bin" / "patchelf"


class Origin(NamedTuple):
    """The Debian that has a Python, and libraries that it needs newer than those of Debian 13."""

    suite: str
    libraries: tuple[str, ...] = ()


ORIGINS = {"3.11": Origin("bookworm"), "3.14": Origin("forky", ("libc6", "libexpat1"))}
"""The oldest and the newest Python of the classifiers in pyproject.toml."""


def python(version: str) -> Path:
    """Return the path of a Python, unpacked where it was not. Raises ProvisionError, FreshError."""
    folder = ROOT / "var" / "pythons" / version
    program = folder / UNPACKED / "usr" / "bin" / f"python{version}"
    ready = folder / "ready"
    with locked_folder(folder):
        if not ready.exists():
            _fetch(folder, version)
            if ORIGINS[version].libraries:
                _bind(program, folder / UNPACKED)
            ready.touch()
    return program


def _fetch(folder: Path, version: str) -> None:
    origin = ORIGINS[version]
    own = [f"python{version}{part}" for part in ("", "-minimal", "-venv")]
    own += [f"libpython{version}-{part}" for part in ("minimal", "stdlib")]
    source = f"deb [signed-by={KEYS}] {mirror(debian_sources())} {origin.suite} main"
    fetch(folder, [*own, *origin.libraries], source)


def _bind(program: Path, root: Path) -> None:
    """Have a program use the C library that is below `root`; what it starts has the system's."""
    folders = library_path(root)["LD_LIBRARY_PATH"]
    (loader,) = root.glob("usr/lib/*-linux-*/ld-linux-*.so.*")
    options = ("--set-interpreter", loader, "--force-rpath", "--set-rpath", folders)
    subprocess.run([PATCHELF, *options, program], check=True)


if __name__ == "__main__":
    try:
        for each in sys.argv[1:] or ORIGINS:
            print(python(each))
    except (FreshError, ProvisionError) as error:
        sys.exit(str(error))
