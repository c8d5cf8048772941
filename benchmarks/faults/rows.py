"""The fault matrix: what is broken in each row, how often, and under which traffic.

Each `do` gets a system whose ingest runs and whose fleet sends, and returns when it has done all
that the row is about. It counts what it did in `system.done`, puts figures into `system.measured`,
and raises `Broken` or StackError where a promise beside those of the load is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_lowercase

from benchmarks.faults.beside.doors import Do, beside_doors
from benchmarks.faults.cluster import why_no_cluster
from benchmarks.faults.failovers import (
    etcd_without_quorum,
    machine_lost,
    primary_frozen,
    primary_killed,
    standbys_frozen,
)
from benchmarks.faults.injections import (
    all_reconnect,
    api_killed,
    clock_jumps,
    data_folder_filled,
    database_away,
    database_killed,
    days_dropped,
    deliver_killed,
    disk_filled,
    ingest_away,
    ingest_does_not_answer,
    ingest_frozen,
    ingest_killed,
    ingest_killed_at_work,
    ingest_killed_beside_punches,
    ingest_rolled,
    links_broken,
    listener_frozen,
    listener_killed,
    listener_killed_with_a_queue,
    listener_restarted,
    neighbour_floods,
    only_devices_err,
    receivers_err,
    rubbish_arrives,
    sessions_of_deliver_terminated,
    sessions_terminated,
    stopped_while_full,
    trackers_revoked,
    up_killed,
)
from benchmarks.faults.load import Load
from benchmarks.faults.log_faults import (
    database_fails_over,
    followers_killed,
    killed_in_turn,
    leader_killed,
    majority_lost,
    node_frozen,
)
from benchmarks.faults.system import Setting, why_no_small_disk


@dataclass(frozen=True, slots=True)
class Row:
    """title: what is done to the system. why_not: why it cannot be done here."""

    title: str
    do: Do
    load: Load = field(default_factory=Load)
    setting: Setting = field(default_factory=Setting)
    has_standby: bool = False
    has_bad_receivers: bool = False
    has_live_readers: bool = False
    why_not: Callable[[], str | None] = lambda: None


def _of_cluster(title: str, do: Do) -> Row:
    return Row(title, do, Load(at_most_s=600), Setting(is_cluster=True), why_not=why_no_cluster)


def _of_log(title: str, do: Do) -> Row:
    return Row(title, do, Load(at_most_s=600), Setting(has_log=True))


_CLOCKS = "clock_1980=0.03,rollover=0.05,clock_2038=0.03,day_ahead=0.03,frozen_clock=0.02"
_REPEATS = "duplicate=0.1,reorder=0.1,replay=0.02"
_ALL_FAULTS = (
    "duplicate=0.05,reorder=0.05,offline=0.005,offline_newest_first=0.005,replay=0.005,"
    "frozen_clock=0.005,jump=0.01,rollover=0.02,clock_1980=0.02,clock_2038=0.01,day_ahead=0.02,"
    "null_island=0.02,nan=0.01,truncated=0.02,reconnect=5"
)

ROWS: Mapping[str, Row] = {
    "1": Row("ingest killed at random moments", ingest_killed, Load(at_most_s=400)),
    "1p": Row(
        "ingest killed while employees punch", ingest_killed_beside_punches, Load(at_most_s=400)
    ),
    "2": Row("ingest frozen, a standby takes over", ingest_frozen, has_standby=True),
    "3": Row("listener killed", listener_killed, Load(at_most_s=300)),
    "3a": Row("listener killed while ingest is away", listener_killed_with_a_queue),
    "3b": Row("listener frozen, and goes on", listener_frozen),
    "4": Row("listener restarted in order", listener_restarted),
    "5l": _of_log("leader of the log killed", leader_killed),
    "5f": _of_log("followers of the log killed", followers_killed),
    "5m": _of_log("two of three nodes of the log killed", majority_lost),
    "5s": _of_log("node of the log frozen", node_frozen),
    "5p": Row(
        "PostgreSQL of a cluster killed, then its machine, behind a log",
        database_fails_over,
        Load(at_most_s=600),
        Setting(is_cluster=True, has_log=True),
        why_not=why_no_cluster,
    ),
    "5k": Row(
        "RabbitMQ, ingest and PostgreSQL of a cluster killed in turn for ten minutes",
        killed_in_turn,
        Load(at_most_s=750, zones_s=600.0),
        Setting(is_cluster=True, has_log=True),
        has_standby=True,
        why_not=why_no_cluster,
    ),
    "6": Row("PostgreSQL killed, and ended at once", database_killed),
    "6p": _of_cluster("PostgreSQL of a cluster killed", primary_killed),
    "6m": _of_cluster("machine of a cluster lost", machine_lost),
    "6f": _of_cluster("machine of a cluster frozen", primary_frozen),
    "6s": _of_cluster("standbys of a cluster frozen", standbys_frozen),
    "6e": _of_cluster("etcd of a cluster without quorum", etcd_without_quorum),
    "7": Row("database sessions terminated every 200 ms", sessions_terminated),
    "8": Row(
        "disk of the database full, then freed",
        disk_filled,
        setting=Setting(has_small_disk=True),
        why_not=why_no_small_disk,
    ),
    "8f": Row(
        "data folder full, then freed",
        data_folder_filled,
        Load(at_most_s=400),
        Setting(is_supervised=True, has_small_disk=True),
        why_not=why_no_small_disk,
    ),
    "8s": Row(
        "stopped in order with the data folder full",
        stopped_while_full,
        Load(at_most_s=400),
        Setting(is_supervised=True, has_small_disk=True),
        why_not=why_no_small_disk,
    ),
    "9": Row("ingest does not answer", ingest_does_not_answer),
    "9d": Row("ingest without the database", database_away, setting=Setting(is_linked=True)),
    "10": Row("ingest away", ingest_away),
    "11": Row(
        "each link cut, reset, stalled, byte by byte", links_broken, setting=Setting(is_linked=True)
    ),
    "12": Row("devices' clocks are wrong", only_devices_err, Load(faults=_CLOCKS)),
    "12c": Row("the clock of ingest jumps", clock_jumps, setting=Setting(has_own_clock=True)),
    "13": Row("duplicates, reorders, replays", only_devices_err, Load(faults=_REPEATS)),
    "13k": Row(
        "devices with all faults, ingest killed",
        ingest_killed_at_work,
        Load(trackers=20, rate_hz=4.0, faults=_ALL_FAULTS),
    ),
    "14": Row("rubbish through the listener", rubbish_arrives),
    "16": Row(
        "zones edited, rolling restart of ingest",
        ingest_rolled,
        Load(rate_hz=1.0, edits=True),
        has_standby=True,
    ),
    "17": Row("webhook endpoints err", receivers_err, has_bad_receivers=True),
    "18": Row(
        "delivery killed while it sends, with readers of live events",
        deliver_killed,
        Load(webhook_answer_s=1.0),
        has_live_readers=True,
    ),
    "18s": Row(
        "sessions of delivery terminated every 200 ms",
        sessions_of_deliver_terminated,
        Load(webhook_answer_s=1.0),
    ),
    "19": Row(
        "API killed with readers of live events",
        api_killed,
        Load(at_most_s=300),
        has_live_readers=True,
    ),
    "20": Row("trackers revoked while they send", trackers_revoked),
    "21": Row(
        "all trackers reconnect at once",
        all_reconnect,
        Load(trackers=200, rate_hz=1.0),
        Setting(is_linked=True),
    ),
    "22": Row("days of fixes dropped", days_dropped),
    "23": Row(
        "opsc up killed, and started at once",
        up_killed,
        Load(at_most_s=400),
        Setting(is_supervised=True),
    ),
    "24": Row("an organization floods, with poison", neighbour_floods),
    "25": Row(
        "ingest killed while phones and boxes send",
        beside_doors(ingest_killed_at_work),
        Load(at_most_s=300),
    ),
    "25l": Row(
        "listener killed while phones and boxes send",
        beside_doors(listener_killed),
        Load(at_most_s=300),
    ),
    "25r": Row("listener restarted while phones and boxes send", beside_doors(listener_restarted)),
    "25d": Row(
        "PostgreSQL killed while phones and boxes send",
        beside_doors(database_killed),
        Load(at_most_s=300),
    ),
    "25f": Row(
        "disk full while phones and boxes send",
        beside_doors(disk_filled),
        Load(at_most_s=300),
        Setting(has_small_disk=True),
        why_not=why_no_small_disk,
    ),
}


def chosen(text: str | None) -> Sequence[str]:
    """Return the keys of rows from `1,3,6`; a number stands for its variants too. Raises
    ValueError.
    """
    if text is None:
        return list(ROWS)
    wanted = [part.strip() for part in text.split(",")]
    for part in wanted:
        if not any(_is_of(key, part) for key in ROWS):
            raise ValueError(f"{part!r} is none of the rows {', '.join(ROWS)}")
    return [key for key in ROWS if any(_is_of(key, part) for part in wanted)]


def _is_of(key: str, wanted: str) -> bool:
    return key == wanted or key.rstrip(ascii_lowercase) == wanted
