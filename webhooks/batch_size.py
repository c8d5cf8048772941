"""The size of a transaction whose time may run out."""


class BatchSize:
    """A size of `most` at first, a quarter of it after a time-out, and twice as much again after
    `passes` that went well.
    """

    def __init__(self, most: int, passes: int = 8) -> None:
        self.now = self._most = most
        self._passes = passes
        self._well = 0

    @property
    def can_shrink(self) -> bool:
        return self.now > 1

    def shrink(self) -> None:
        """Note that time ran out."""
        self.now = max(1, self.now // 4)
        self._well = 0

    def went_well(self) -> None:
        """Note that there was time enough for as much as this."""
        self._well += 1
        if self._well == self._passes:
            self.now = min(2 * self.now, self._most)
            self._well = 0
