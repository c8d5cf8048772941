"""A jump of the wall clock is noticed; the clock is told as it is."""

from service.clock import Clock

S = 1_000_000_000


class Machine:
    """The clocks of a machine."""

    def __init__(self) -> None:
        self.wall_ns, self.steady_ns = 1_700_000_000 * S, 77 * S
        self.jumps: list[float] = []
        self.clock = Clock(self.jumps.append, lambda: self.wall_ns, lambda: self.steady_ns)

    def goes_on(self, seconds: float, wall_s: float | None = None) -> int:
        """Let time pass, by the wall clock another one, and look at the clock."""
        self.steady_ns += round(seconds * S)
        self.wall_ns += round((seconds if wall_s is None else wall_s) * S)
        return self.clock.now_us()


def test_each_jump_is_told_once_and_changes_nothing() -> None:
    machine = Machine()
    assert machine.goes_on(10) == 1_700_000_010_000_000
    assert machine.goes_on(1, 3601) == 1_700_003_611_000_000
    machine.goes_on(5)
    assert machine.goes_on(1, -3599) == 1_700_000_017_000_000
    assert machine.jumps == [3600, -3600]


def test_a_clock_that_is_set_gradually_or_a_machine_that_slept_is_no_jump() -> None:
    machine = Machine()
    for _ in range(100):
        machine.goes_on(1, 1.5)
    machine.goes_on(86_400)
    assert machine.jumps == []
