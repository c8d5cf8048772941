"""The options of a command, as `opsc COMMAND -h` shows them."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperOption
from typer.main import get_command


def help_of(command: Callable[..., Any]) -> dict[str, str | None]:
    """Map each option of a command, such as `--seed`, to its text of help."""
    app = typer.Typer(add_completion=False)
    app.command()(command)
    options = (each for each in get_command(app).params if isinstance(each, TyperOption))
    return {option.opts[0]: option.help for option in options}
