"""Errors that end a command with a text for the user instead of a traceback."""


class StackError(Exception):
    """The work failed; the text says why and, where there is something, what to do."""

    exit_code = 1
