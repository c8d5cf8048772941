"""The times at which a failed attempt is repeated, and when a delivery is given up."""

from typing import NamedTuple

# After the first attempt, after the second, ...: about 31 hours in all, then the delivery fails.
DELAYS_S = (5, 30, 120, 600, 3_600, 21_600, 86_400)
ATTEMPTS_MAX = len(DELAYS_S) + 1
# Each delay is stretched or shortened by up to this share, so that what failed together does not
# come back together.
JITTER = 0.2
GONE = 410


class Answer(NamedTuple):
    """The outcome of an attempt: the status of an HTTP answer, or the error that came instead.

    error: for the endpoint's owner. detail: for our own log, which may say more. headers and body:
    the beginning of the answer, as it came.
    """

    status: int | None
    error: str | None
    detail: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_our_fault: bool = False

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """The receiver says that it wants no more: 410, as Standard Webhooks has it."""
        return self.status == GONE


def retry_delay_s(answer: Answer, attempts: int, chance: float) -> float | None:
    """Return seconds until the next attempt after `attempts` failed ones; None: the delivery is
    given up.

    `chance` lies in [0, 1) and places the delay within its jitter.
    """
    if answer.is_gone or attempts >= ATTEMPTS_MAX:
        return None
    return DELAYS_S[attempts - 1] * (1 - JITTER + 2 * JITTER * chance)
