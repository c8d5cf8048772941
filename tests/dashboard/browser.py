"""The browser of tests: Chromium from the npm package @sparticuz/chromium, unpacked below var/.

The package has it for x86-64 alone. Elsewhere `OPSC_TEST_CHROMIUM` names another program.
"""

import fcntl
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from xml.sax.saxutils import escape

import brotli

ROOT = Path(__file__).parents[2]
_PACKED = ROOT / "clients" / "node_modules" / "@sparticuz" / "chromium"
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir>{folder}/fonts</dir>
  <cachedir>{folder}/fonts-cache</cachedir>
</fontconfig>
"""
_PARTS = ("al2023.tar.br", "fonts.tar.br", "swiftshader.tar.br")
ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""No sandbox: it does not work as root, and the pages are ours. WebGL is drawn by software."""


def program() -> Path:
    """Return the path of the browser, unpacked where it was not. Raises FileNotFoundError."""
    if named := os.environ.get("OPSC_TEST_CHROMIUM"):
        return Path(named)
    version = json.loads((_PACKED / "package.json").read_text())["version"]
    folder = ROOT / "var" / "chromium" / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the workers of a run begin together
        if not folder.exists():
            _unpack(folder)
    return folder / "chromium"


def environment() -> dict[str, str]:
    """Return the variables that it runs with: libraries and a font are those of the package, so
    that it needs none of the system.
    """
    folder = program().parent
    own = {"LD_LIBRARY_PATH": str(folder / "lib"), "FONTCONFIG_FILE": str(folder / "fonts.conf")}
    return {**os.environ, **own}


def _unpack(folder: Path) -> None:
    half = folder.with_name(f"{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    packed = _PACKED / "bin"
    for name in _PARTS:
        content = brotli.decompress((packed / name).read_bytes())
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(half, filter="data")
    (half / "fonts.conf").write_text(_FONTS.format(folder=escape(str(folder))))
    chromium = half / "chromium"
    chromium.write_bytes(brotli.decompress((packed / "chromium.br").read_bytes()))
    chromium.chmod(0o755)
    half.rename(folder)
