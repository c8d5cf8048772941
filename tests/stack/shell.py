"""Commands of documents, as a reader runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.servers.postgres import free_port
from tests.stack.command import WAIT_S, plain_environment


def with_addresses(text: str, api_url: str, broker_url: str) -> str:
    """Replace the addresses by those of this system, with a free port for the receiver."""
    text = text.replace("http://127.0.0.1:8000", api_url)
    text = text.replace("mqtt://127.0.0.1:1883", broker_url)
    return text.replace("9999", str(free_port(0)))


def bash(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it in a folder that has the environment as `.venv`, as a clone has."""
    (folder / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**plain_environment(), "HOME": str(folder), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def require_curl_and_jq() -> None:
    if shutil.which("jq") is None or shutil.which("curl") is None:
        pytest.skip("the tour needs curl and jq")
    about = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    if " mqtt" not in about.stdout:
        pytest.skip("this curl does not speak MQTT")
