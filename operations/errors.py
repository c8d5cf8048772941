"""Errors of the rules of the trade. The fault lies with who wrote the rule or the request."""


class RuleError(ValueError):
    """A setting or a field that cannot be so.

    field: its name. problem: one sentence, the fault and the right values.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class ConflictError(Exception):
    """A request that conflicts with what is stored.

    code: the reason for programs, such as `employee_left`. field: the one that names what is in the
    way; None: no field does.
    """

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.field = field


def check_within(field: str, value: int, least: int, most: int) -> None:
    """Raise RuleError where a number is not from least to most."""
    if not least <= value <= most:
        raise RuleError(field, f"{value}; it must be from {least} to {most}")


def check_together(given: object, first: str, second: str) -> None:
    """Raise RuleError where one of two fields is null and the other is not."""
    lacks_first, lacks_second = getattr(given, first) is None, getattr(given, second) is None
    if lacks_first != lacks_second:
        missing = first if lacks_first else second
        raise RuleError(missing, f"{first} and {second} go together")
