"""A step of building a wheel or an sdist: both have the web application in them, built."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface[Any]):
    """Fails where it has not been built. An editable install finds it in the folder later."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise FileNotFoundError. version: of the kind of build, `editable` or `standard`."""
        page = Path(self.root) / "api" / "dashboard" / "index.html"
        if version != "editable" and not page.is_file():
            raise FileNotFoundError(f"{page}: build the web application first, with make setup")
