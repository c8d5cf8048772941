"""What a run shows: a table that is written over, or a line now and then."""

from io import StringIO

from rich.console import Console
from rich.live import Live

from device_sim.fleet import FleetProgress, Stage
from device_sim.latency import Latencies
from stack.sim.progress import LiveTable, PlainLines, RunState, Shown
from stack.verify.verify import Totals

SOME = Latencies()
SOME.record(0.00125)
PROGRESS = FleetProgress(
    stage=Stage.SENDING,
    elapsed_s=12.3,
    trackers=50,
    connected=49,
    sent=12_345,
    acknowledged=12_300,
    failed=1,
    rate_hz=1000.4,
    latencies=SOME,
)


def test_a_line_says_what_is_known() -> None:
    output = StringIO()
    shown = Shown(PlainLines(Console(file=output, soft_wrap=True)))
    shown.update(stage="sending", progress=PROGRESS, totals=Totals(12_000, 7, 6))
    assert output.getvalue() == (
        "stage sending  connected 49 of 50  time 12 s  sent 12,345  acknowledged 12,300  failed 1  "
        "rate 1,000/s  to acknowledged p50 1.2, p95 1.2, p99 1.2, max 1.2 ms  "
        "stored 12,000  events 7  webhooks 6\n"
    )


def test_lines_come_now_and_then_and_at_each_change_of_stage() -> None:
    output = StringIO()
    shown = Shown(PlainLines(Console(file=output, soft_wrap=True)))
    for stage in ("sending", "sending", "sending", "draining", "draining"):
        shown.update(stage=stage)
    assert output.getvalue() == "stage sending\nstage draining\n"


def test_a_terminal_gets_a_table_with_lost_and_duplicate() -> None:
    output = StringIO()
    console = Console(file=output, force_terminal=True, width=60)
    with Live(console=console, auto_refresh=False) as live:
        LiveTable(live).show(RunState("done", 20_000, PROGRESS, lost=2, duplicate=0))
    text = output.getvalue()
    for expected in (
        "12,345 of 20,000",
        "acknowledged",
        "12,300",
        "p99",
        "lost",
        "2",
        "duplicate",
        "0",
    ):
        assert expected in text
