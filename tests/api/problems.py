"""Problem documents in answers."""

from tests.api.running import Answer


def is_problem(answer: Answer, status: int, code: str) -> bool:
    """Return whether all members are there and agree with the response."""
    document = answer.json
    return (
        answer.status == status == document["status"]
        and answer.headers["Content-Type"] == "application/problem+json"
        and document["code"] == code
        and document["request_id"] == answer.headers["X-Request-Id"]
        and {"type", "title", "detail", "errors"} <= document.keys()
    )
