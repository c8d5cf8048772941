"""What ingest writes for the broker, and what it reads in its log."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from db.broker_identities import TrackerIdentity, broker_hash
from ingest.broker_files import BrokerFiles, BrokerFilesError, password_lines, tracker_lines
from ingest.broker_log import BrokerLog, Refused, refused_in
from ingest.identities import TrackerLines

FIRST, SECOND = UUID(int=1), UUID(int=2)


def test_trackers_follow_the_services_and_no_service_is_a_tracker() -> None:
    services = "opsc-ingest:$7$1$a$b\n\ntrk_0:$7$1$forged$x\n"
    text = password_lines(services, ["trk_1:$7$1$c$d"])
    assert text == "opsc-ingest:$7$1$a$b\ntrk_1:$7$1$c$d\n"
    assert tracker_lines(text) == ["trk_1:$7$1$c$d"]


def test_hashes_of_one_secret_differ() -> None:
    assert len({broker_hash("secret") for _ in range(5)}) == 5


def test_lines_follow_the_changes() -> None:
    lines = TrackerLines()
    assert lines.take([TrackerIdentity(FIRST, "one", 3), TrackerIdentity(SECOND, "two", 3)])
    assert (lines.revision, len(lines)) == (3, 2)
    assert not lines.take([])
    assert not lines.take([TrackerIdentity(FIRST, "one", 4)])  # its name was changed, say
    assert lines.take([TrackerIdentity(FIRST, "other", 5)])
    assert lines.take([TrackerIdentity(SECOND, None, 6)])
    assert not lines.take([TrackerIdentity(SECOND, None, 7)])
    assert lines.revision == 7
    assert [line.partition(":")[2] for line in lines.text("").splitlines()] == ["other"]


def test_a_folder_without_services_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BrokerFilesError, match=r"cannot read .*services\.passwords"):
        BrokerFiles(tmp_path).services()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Client trk_a disconnected, not authorised.", Refused.SIGN_IN),
        ("Client <unknown> disconnected, not authorised.", Refused.SIGN_IN),
        ("Bad socket read/write on client trk_a: Quota exceeded", Refused.PUBLISH),
        ("Denied PUBLISH from trk_a (d0, q0, r0, m0, 'x', ... (3 bytes))", Refused.PUBLISH),
        ("Denied PUBLISH from trk_a (d0, q1, r0, m1, 'x', ... (3 bytes))", None),  # see the next
        ("trk_a 1 #", Refused.SUBSCRIBE),
        ("trk_a 0 trackers/trk_b/ack", Refused.SUBSCRIBE),
        ("trk_a 1 trackers/trk_a/ack/#", Refused.SUBSCRIBE),
        ("trk_a 1 trackers/trk_a/ack", None),
        ("opsc-ingest 1 trackers/+/fixes", None),
        ("Client trk_a disconnected.", None),
        ("Client trk_a closed its connection.", None),
        ("Bad socket read/write on client trk_a: Invalid arguments provided.", None),
        ("New client connected from 127.0.0.1:1 as trk_a (p5, c1, k60, u'trk_a').", None),
        ("Client connection from 127.0.0.1 failed: error:0A00009C:SSL routines.", Refused.TLS),
        ("OpenSSL Error[0]: error:0A00010B:SSL routines::wrong version number", Refused.TLS),
    ],
)
def test_a_line_of_the_log_says_what_was_refused(line: str, kind: Refused | None) -> None:
    assert refused_in(f"2026-11-24T22:30:00: {line}") is kind


def test_a_log_is_counted_from_its_end_on_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.log"
    refused = "2026-11-24T22:30:00: trk_a 1 #\n"
    path.write_text(refused)
    log = BrokerLog(path)
    assert not log.refused()
    with path.open("a") as file:
        file.write(refused + refused[:20])
    assert log.refused() == {Refused.SUBSCRIBE: 1}
    with path.open("a") as file:
        file.write(refused[20:])
    assert log.refused() == {Refused.SUBSCRIBE: 1}
    path.write_text("")  # it was full
    assert not log.refused()
    path.write_text(refused)
    assert log.refused() == {Refused.SUBSCRIBE: 1}


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = BrokerLog(tmp_path / "broker.log")
    assert not log.refused()
    (tmp_path / "broker.log").write_text("2026-11-24T22:30:00: trk_a 1 #\n")
    assert log.refused() == {Refused.SUBSCRIBE: 1}


def test_of_two_that_write_the_broker_reads_one_or_the_other_whole(tmp_path: Path) -> None:
    (tmp_path / "services.passwords").write_text("opsc-ingest:x\n")
    texts = ["".join(f"trk_{n}:{who}\n" for n in range(20_000)) for who in ("one", "other")]
    files = BrokerFiles(tmp_path)
    files.write_passwords(texts[0])
    with ThreadPoolExecutor() as threads:
        writing = [threads.submit(files.write_passwords, text) for text in texts * 20]
        while not all(one.done() for one in writing):
            assert files.passwords() in texts
    assert [one.exception() for one in writing] == [None] * 40
    assert {path.name for path in tmp_path.iterdir()} == {"services.passwords", "passwords"}
