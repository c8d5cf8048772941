"""Errors of the rules of the trade. The fault lies with who wrote the rule or the request."""


class RuleError(ValueError):
    """A setting that no rule can have.

    field: its name. problem: one sentence, the fault and the right values.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def check_within(field: str, value: int, least: int, most: int) -> None:
    """Raise RuleError where a number is not from least to most."""
    if not least <= value <= most:
        raise RuleError(field, f"{value}; it must be from {least} to {most}")
