"""Clients that are made from the OpenAPI document compile, and work against the API."""

import os
import sys
from pathlib import Path

import pytest

from tests.api.running import PASSWORD, RunningApi
from tests.clients.make import (
    CLIENTS,
    TOOLS,
    make_python,
    make_typescript,
    run_node,
    run_python,
    write_document,
)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the document as a file."""
    return write_document(tmp_path_factory.mktemp("openapi"))


@pytest.fixture
def credentials(api: RunningApi) -> tuple[str, str, str, str]:
    """The credentials that a user signs in with."""
    org = api.organization("Acme")
    return api.url, org.id, org.email, PASSWORD


def test_the_python_client_compiles_and_works(
    openapi: Path, credentials: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_python(openapi)
    run_python(Path(sys.executable).parent / "pyright", "--project", CLIENTS)
    monkeypatch.setenv("PYTHONPATH", os.fspath(CLIENTS / "python"))
    said = run_python(TOOLS / "python", "usage.py", *credentials)
    assert said.startswith("ast_")
    assert said.endswith(" not_found\n")


def test_the_typescript_client_compiles_and_works(
    openapi: Path, credentials: tuple[str, ...]
) -> None:
    make_typescript(openapi)
    run_node("node_modules/typescript/bin/tsc", "--project", "tsconfig.json")
    said = run_node("usage.ts", *credentials)
    assert said.startswith("ast_")
    assert said.endswith(" not_found\n")
