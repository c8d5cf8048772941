"""Linters of others find nothing wrong with the OpenAPI document."""

from pathlib import Path

import pytest

from tests.clients.make import run_node, write_document

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the document as a file."""
    return write_document(tmp_path_factory.mktemp("openapi"))


def test_spectral_with_the_rules_of_owasp(openapi: Path) -> None:
    spectral = "node_modules/@stoplight/spectral-cli/dist/index.js"
    run_node(spectral, "lint", openapi, "--ruleset", "spectral.yaml", "--fail-severity", "warn")


def test_redocly(openapi: Path) -> None:
    redocly = "node_modules/@redocly/cli/bin/cli.js"
    run_node(redocly, "lint", openapi, "--config", "redocly.yaml")
