"""How far a replay is: a bar on a terminal, else a line now and then."""

from io import StringIO

import pytest
from rich.console import Console
from rich.progress import Progress

from stack.replay.progress import Bar, Lines, replay_view


def test_a_line_says_how_much_is_read_and_judged() -> None:
    output = StringIO()
    lines = Lines(Console(file=output, soft_wrap=True), 1_000, every_s=0)
    lines.read_to(250)
    lines.judged(1_234)
    lines.read_all(2_000)
    lines.judged(2_000)
    assert output.getvalue().splitlines() == [
        "read 25%  judged 0 fixes",
        "read 25%  judged 1,234 fixes",
        "read 100%  judged 2,000 fixes",
    ]


def test_lines_come_only_now_and_then() -> None:
    output = StringIO()
    lines = Lines(Console(file=output), 1_000, every_s=1e9)
    for position in range(0, 1_000, 10):
        lines.read_to(position)
    assert output.getvalue() == ""


def test_a_bar_counts_bytes_while_it_reads_and_fixes_once_it_has() -> None:
    with Progress(console=Console(file=StringIO()), auto_refresh=False) as progress:
        bar, task = Bar(progress, 1_000), progress.tasks[0]
        bar.read_to(250)
        bar.judged(10)
        assert (task.description, task.completed, task.total) == ("reading", 250, 1_000)
        assert task.fields["note"] == "10 fixes judged"
        bar.read_all(40)
        bar.judged(20)
        assert (task.description, task.completed, task.total) == ("judging", 20, 40)
        bar.read_to(0)  # from the beginning: the trace was not in order
        assert (task.description, task.completed, task.total) == ("reading", 0, 1_000)


def test_beside_rows_on_a_terminal_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "is_terminal", True)
    with replay_view(1_000, rows_are_shown=True) as view:
        assert isinstance(view, Lines)
    with replay_view(1_000, rows_are_shown=False) as view:
        assert isinstance(view, Bar)
