"""`make fresh`, the server: every command of docs/install.md, typed as it stands there on a Debian
that a real systemd has booted (tests/fresh/server.py), block by block.

Then the server is used and broken as the years would: tests/fresh/server_life.py.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

from tests.fresh.machine import REPOSITORY, ROOT_USER, DebianRoot, FreshError
from tests.fresh.server import Server

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^##+ (.*)$", re.MULTILINE)
INSTALLS = re.compile(r"^apt-get install .*$", re.MULTILINE)
PAGE = (REPOSITORY / "docs" / "install.md").read_text()
BACKUP_PAGE = (REPOSITORY / "docs" / "backup.md").read_text()
FETCHES = re.compile(r"^apt-get update$|\bmake install\b", re.MULTILINE)
SOURCE = "/opt/ops-companion/source"
# Beside what the page installs: what boots, a device, and what reads the files of deploy/.
TOOLS = "apt-get install -y --no-install-recommends systemd dbus mosquitto-clients prometheus"


def prepare(root: DebianRoot) -> Server:
    """Return the server to install on, booted, with what comes from the network at hand."""
    # Debian starts what it installs unless it is told not to; here that is for the server to do.
    policy = root.path / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    root.run(ROOT_USER, TOOLS)
    policy.unlink()
    # Installed by the page itself: PostgreSQL takes the first port that is free there.
    for command in INSTALLS.findall(PAGE + BACKUP_PAGE):
        root.run(ROOT_USER, f"{command} --download-only")
    root.run(ROOT_USER, "echo '127.0.0.1 localhost ops.example.com' > /etc/hosts")
    root.run(ROOT_USER, "systemctl mask prometheus prometheus-node-exporter")
    source = root.path / SOURCE.lstrip("/")
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(source)], check=True
    )
    root.run(ROOT_USER, f"chown -R root:root {SOURCE}")
    server = Server(root)
    server.boot()
    return server


def blocks(section: str, page: str = PAGE) -> Iterator[str]:
    """List the commands of a section of a page, a block each."""
    found = next((at for at in SECTION.finditer(page) if at[1] == section), None)
    if found is None:
        raise FreshError(f"the page has no section {section} any more")
    end = SECTION.search(page, found.end())
    for block in BLOCK.finditer(page, found.end(), end.start() if end else len(page)):
        yield block[1]


def type_section(server: Server, section: str, page: str = PAGE) -> None:
    """Run the commands of a section of a page."""
    print(f"-- {section}", flush=True)
    for block in blocks(section, page):
        type_block(server, block)


def type_block(server: Server, block: str) -> None:
    """Run one block: what is built comes from the network, and nothing else does."""
    server.bash(block, with_network=bool(FETCHES.search(block)))
