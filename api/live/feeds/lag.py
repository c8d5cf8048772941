"""The time that a reader of events is behind."""

from api.live.feeds.event_feed import EventSubscription


class Lag:
    """The lag of one reader. Once it has read all there was, it must read each event within `lag_s`
    of when the event could be read. A reader that still reads its backlog may take its time.
    """

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._mark_seq: int | None = None
        self._mark_s = 0.0
        self._has_caught_up = False

    def is_too_long(self, subscription: EventSubscription, now_s: float) -> bool:
        """Look at the subscription at `now_s`, again and again, and return whether it lags."""
        if self._mark_seq is None or subscription.seq >= self._mark_seq:
            self._has_caught_up = self._mark_seq is not None
            self._mark_seq, self._mark_s = subscription.organization.seq, now_s
            return False
        return self._has_caught_up and now_s - self._mark_s > self._lag_s
