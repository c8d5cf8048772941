"""A program that writes what it is, which `tests/test_fork_server.py` starts in two ways."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

STATUS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")


def state() -> dict[str, object]:
    """Return whatever a start decides."""
    status = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in status)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "leads_its_session": os.getsid(0) == os.getpid(),
        "folder": os.getcwd(),
        **{f"${name}": text for name, text in os.environ.items()},
        "argv": sys.argv,
        "name": __name__,
        "input": sys.stdin.read(),
        "is_unbuffered": sys.stdout.write_through,  # pyright: ignore
        "files": _files(),
        **{name: fields[name].strip() for name in STATUS},
    }


def _files() -> list[int]:
    """Return open descriptors, without the one that a library keeps of its data."""
    links: dict[int, str] = {}
    for file in range(100):
        with suppress(OSError):
            links[file] = os.readlink(f"/proc/self/fd/{file}")
    return [file for file, link in links.items() if not link.endswith("/proj.db")]


if __name__ == "__main__":
    print("complaint", file=sys.stderr)  # first, then it waits for its input
    print(json.dumps(state()))
    match os.environ.get("END"):
        case "by itself" | None:
            pass
        case "by an error":
            raise ValueError("no good")
        case "with words":
            sys.exit("words")
        case code:
            sys.exit(int(code))
