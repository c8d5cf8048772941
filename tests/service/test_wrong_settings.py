"""Every role says which setting is wrong and what would be right, and shows no secret."""

import base64
import os
from collections.abc import Callable, Mapping

import pytest

import api.__main__
import ingest.__main__
import listener.__main__
import webhooks.__main__
from api.settings import ApiSettings
from service.start import read_settings

Main = Callable[[], int]
MAINS: Mapping[str, Main] = {
    "api": api.__main__.main,
    "ingest": ingest.__main__.main,
    "listen": listener.__main__.main,
    "deliver": webhooks.__main__.main,
}
SECRET = "Sw0rdfish"
NO_PEM = __file__
MISSING = "/x cannot be read: No such file or directory"
PLAIN_LOG, TLS_LOG = (f"{scheme}://u:{SECRET}@127.0.0.1" for scheme in ("amqp", "amqps"))
WITH_A_LOG = (
    ("OPSC_LOG_URL", f"amqp://u:{SECRET}@", "must be a URL like amqp://user:password@host"),
    ("OPSC_LOG_TLS_CA", {"OPSC_LOG_URL": TLS_LOG, "OPSC_LOG_TLS_CA": "/x"}, MISSING),
    (
        "OPSC_LOG_TLS_CA",
        {"OPSC_LOG_URL": TLS_LOG, "OPSC_LOG_TLS_CA": NO_PEM},
        "cannot be used: [X509",
    ),
    (
        "OPSC_LOG_TLS_CA",
        {"OPSC_LOG_URL": PLAIN_LOG, "OPSC_LOG_TLS_CA": NO_PEM},
        "is given, but OPSC_LOG_URL has no TLS: write amqps://",
    ),
)
GOOD = {
    "OPSC_DATABASE_URL": "postgresql://user:word@127.0.0.1:5432/opsc",
    "OPSC_SECRET_KEY": base64.urlsafe_b64encode(bytes(32)).decode(),
    "OPSC_BROKER_URL": "mqtt://127.0.0.1:1883",
}
URL_FORM = "a URL like postgresql://user:password@host:port/database"
EVERY_ROLE = (
    ("OPSC_DATABASE_URL", None, f"is missing; it must be {URL_FORM}"),
    ("OPSC_DATABASE_URL", "", f"must be {URL_FORM}"),
    ("OPSC_DATABASE_URL", f"user:{SECRET}@host/database", f"must be {URL_FORM}"),
    ("OPSC_DATABASE_URL", f"postgresql://user:%{SECRET}@host/database", f"must be {URL_FORM}"),
    ("OPSC_DATABASE_URL", f"postgresql://user:p/{SECRET}@host/database", f"must be {URL_FORM}"),
    ("OPSC_DATABASE_URL", f"postgresql://host:{SECRET}/database", f"must be {URL_FORM}"),
    ("OPSC_LOG_LEVEL", "loud", "must be 'debug', 'info', 'warning' or 'error', not 'loud'"),
    ("OPSC_LOG_FORMAT", "xml", "must be 'json' or 'console', not 'xml'"),
)
WITH_A_KEY = (
    ("OPSC_SECRET_KEY", None, "is missing; it must be 32 bytes in base64url"),
    ("OPSC_SECRET_KEY", SECRET, "must be 32 bytes in base64url"),
    ("OPSC_PUBLIC_URL", "ftp://x", "must be a URL like https://ops.example.com, not 'ftp://x'"),
    (
        "OPSC_PUBLIC_URL",
        f"ftp://me:{SECRET}@x",
        "must be a URL like https://ops.example.com, not 'ftp://***@x'",
    ),
    ("OPSC_WEBHOOK_ALLOW_LOOPBACK", "maybe", "must be a valid boolean, unable to interpret input"),
)
HTTP_FORM = "must be host:port like 127.0.0.1:9101"
OF_ROLE = {
    "listen": (
        *WITH_A_LOG,
        ("OPSC_TLS_CERT", {"OPSC_TLS_CERT": "/x", "OPSC_TLS_KEY": NO_PEM}, MISSING),
        (
            "OPSC_TLS_CERT",
            {"OPSC_TLS_CERT": NO_PEM, "OPSC_TLS_KEY": NO_PEM},
            "cannot be used: [SSL]",
        ),
        ("OPSC_LISTEN_CLIENT_CA", "/x", MISSING),
        ("OPSC_LISTEN_PORT", "0", "is 0, and there is no OPSC_LISTEN_TLS_PORT"),
        ("OPSC_LISTEN_TELTONIKA", "dtls://0.0.0.0:1", "must be off, or addresses with commas"),
        ("OPSC_LISTEN_H02", "127.0.0.1:1, udp://nowhere", HTTP_FORM),
        ("OPSC_LISTEN_MEITRACK", "tls12://[::]:1", "with tls:// needs OPSC_TLS_CERT"),
        ("OPSC_LISTEN_GT06", "udp://[::]:1", "has no udp://: GT06 signs in on a connection"),
    ),
    "api": (
        *WITH_A_KEY,
        ("OPSC_API_PORT", "http", "must be a valid integer, unable to parse string as an integer"),
        (
            "OPSC_MAP_TILES",
            "https://tiles.example.com/style.css",
            "must be a URL like https://tiles.example.com/{z}/{x}/{y}.png, or of a MapLibre style"
            " like https://tiles.example.com/style.json, not",
        ),
        ("OPSC_API_PORT", "65536", "must be less than or equal to 65535, not '65536'"),
        ("OPSC_API_HOST", "0.0.0.0", "other machines reach 0.0.0.0 in clear text"),
        (
            "OPSC_API_HOST",
            {"OPSC_API_HOST": "::", "OPSC_API_PROXY_NETWORKS": "127.0.0.0/8,::1"},
            "other machines reach :: in clear text. Set OPSC_TLS_CERT and OPSC_TLS_KEY; or",
        ),
        ("OPSC_API_PROCESSES", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_API_MAX_DATABASE_CONNECTIONS", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_API_STATEMENT_TIMEOUT_S", "0", "must be greater than 0, not '0'"),
        ("OPSC_API_REQUEST_TIMEOUT_S", "601", "must be less than or equal to 600, not '601'"),
        ("OPSC_API_BODY_TIMEOUT_S", "soon", "must be a valid number"),
        ("OPSC_API_ALLOWED_ORIGINS", "*", "* is not an origin like https://app.example.com"),
        (
            "OPSC_API_ALLOWED_ORIGINS",
            f"https://me:{SECRET}@x.example",
            "https://***@x.example is not an origin like https://app.example.com",
        ),
        ("OPSC_API_USER_REQUESTS_PER_MINUTE", "1", "must be greater than or equal to 10, not '1'"),
        (
            "OPSC_API_ADDRESS_REQUESTS_PER_MINUTE",
            "1",
            "must be greater than or equal to 10, not '1'",
        ),
        ("OPSC_ACCESS_TOKEN_LIFETIME_S", "1", "must be greater than or equal to 60, not '1'"),
        ("OPSC_REFRESH_TOKEN_LIFETIME_S", "1", "must be greater than or equal to 300, not '1'"),
        ("OPSC_SESSION_IDLE_S", "1", "must be greater than or equal to 300, not '1'"),
        ("OPSC_SESSION_LIFETIME_S", "1", "must be greater than or equal to 300, not '1'"),
        ("OPSC_ATTACHMENTS_QUOTA_BYTES", "-1", "must be greater than or equal to 0, not '-1'"),
        ("OPSC_TLS_CERT and OPSC_TLS_KEY", {"OPSC_TLS_KEY": NO_PEM}, "must be set together"),
        (
            "OPSC_TLS_CERT and OPSC_TLS_KEY",
            {"OPSC_TLS_KEY": NO_PEM, "OPSC_TLS_CERT": NO_PEM},
            "cannot be read as a certificate and its key: [SSL]",
        ),
        ("OPSC_TLS_KEY", {"OPSC_TLS_KEY": "/x", "OPSC_TLS_CERT": NO_PEM}, MISSING),
    ),
    "ingest": (
        *WITH_A_LOG,
        ("OPSC_INGEST_LINK", "nowhere", "must be an address like unix:/run/opsc/ingest.sock"),
        *(
            (
                "OPSC_INGEST_LINK_ADVERTISED",
                {"OPSC_INGEST_LINK": bound, "OPSC_LINK_SECRET": "key", **advertised},
                f"must {told}",
            )
            for bound, advertised, told in (
                ("tcp://0.0.0.0:9110", {}, "name the address that listeners connect to"),
                ("tcp://[::]:9110", {}, "name the address that listeners connect to"),
                (
                    "tcp://127.0.0.1:9110",
                    {"OPSC_INGEST_LINK_ADVERTISED": "tcp://0.0.0.0:9110"},
                    "name the address that listeners connect to",
                ),
                (
                    "tcp://0.0.0.0:9110",
                    {"OPSC_INGEST_LINK_ADVERTISED": "tls://ingest:9110"},
                    "begin with tcp: as OPSC_INGEST_LINK",
                ),
            )
        ),
        ("OPSC_INGEST_LINK_ADVERTISED", "nowhere", "must be an address like unix:/run/opsc"),
        ("OPSC_BROKER_URL", "http://x", "broker URL must start with mqtt:// or mqtts://"),
        ("OPSC_BROKER_URL", f"mqtt://me:{SECRET}@x", "broker URL must not hold a user name"),
        ("OPSC_BROKER_URL", f"mqtt://me:{SECRET}@x\u2100y", "broker URL cannot be read"),
        ("OPSC_BROKER_URL", "mqtt://x:port", "broker port must be a number in 1..65535"),
        (
            "OPSC_BROKER_TLS_CA",
            {"OPSC_BROKER_TLS_CA": NO_PEM},
            "OPSC_BROKER_TLS_CERT and OPSC_BROKER_TLS_KEY: can",
        ),
        (
            "OPSC_BROKER_TLS_CA",
            {"OPSC_BROKER_TLS_CA": NO_PEM, "OPSC_BROKER_URL": "mqtts://x"},
            "OPSC_BROKER_TLS_CERT and OPSC_BROKER_TLS_KEY: cannot be used: [X509",
        ),
        ("OPSC_BROKER_TLS_CA", "/x", MISSING),
        ("OPSC_LINK_TLS_CERT", "/x", MISSING),
        ("OPSC_BROKER_CLIENT_ID", "", "must have at least 1 character, not ''"),
        ("OPSC_INGEST_HTTP", "nowhere", f"{HTTP_FORM}, not 'nowhere'"),
        ("OPSC_INGEST_HTTP", "127.0.0.1:99999", f"{HTTP_FORM}, not '127.0.0.1:99999'"),
        ("OPSC_INGEST_BATCH_MESSAGES", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_INGEST_BATCH_BYTES", "1", "must be greater than or equal to 1024, not '1'"),
        ("OPSC_INGEST_BATCH_FIXES", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_INGEST_LATENCY_MS", "-1", "must be greater than or equal to 0, not '-1'"),
        ("OPSC_INGEST_LEASE_S", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_INGEST_TRACKER_FIXES_PER_S", "0", "must be greater than 0, not '0'"),
        ("OPSC_RETENTION_POSITIONS_DAYS", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_RETENTION_QUARANTINE_DAYS", "0", "must be greater than or equal to 1, not '0'"),
        ("OPSC_QUARANTINE_TRACKER_MESSAGES_PER_DAY", "-1", "must be greater than or equal to 0"),
        (
            "OPSC_QUARANTINE_TRACKER_BYTES_PER_DAY",
            "-1",
            "must be greater than or equal to 0, not '-1'",
        ),
        ("OPSC_QUARANTINE_UNKNOWN_MESSAGES_PER_DAY", "-1", "must be greater than or equal to 0"),
        (
            "OPSC_QUARANTINE_UNKNOWN_BYTES_PER_DAY",
            "-1",
            "must be greater than or equal to 0, not '-1'",
        ),
    ),
    "deliver": (
        *WITH_A_KEY,
        ("OPSC_DELIVER_HTTP", "nowhere", f"{HTTP_FORM}, not 'nowhere'"),
        ("OPSC_WEBHOOK_TIMEOUT_S", "0", "must be greater than 0, not '0'"),
        ("OPSC_MAIL_FROM", "nobody", "must be an address like Ada <ada@example.com>"),
        (
            "OPSC_MAIL_SMTP_URL",
            f"smtps://me:p/{SECRET}@host",
            "must be a URL like smtps://user:password@host:465",
        ),
        (
            "OPSC_MAIL_SMTP_URL",
            f"http://me:{SECRET}@host",
            "must be a URL like smtps://user:password@host:465",
        ),
    ),
}
CASES = [(role, *case) for role in MAINS for case in (*EVERY_ROLE, *OF_ROLE[role])]


@pytest.mark.parametrize(("role", "name", "wrong", "told"), CASES)
def test_a_wrong_setting_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    role: str,
    name: str,
    wrong: str | Mapping[str, str] | None,
    told: str,
) -> None:
    for variable in [variable for variable in os.environ if variable.startswith("OPSC_")]:
        monkeypatch.delenv(variable)
    changed = wrong if isinstance(wrong, Mapping) else {name: wrong}
    for variable, value in {**GOOD, **changed}.items():
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert MAINS[role]() == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith(name)
    assert told in line
    assert SECRET not in line
    for variable in ("OPSC_DATABASE_URL", "OPSC_SECRET_KEY"):  # beside the one that is wrong
        assert GOOD[variable] not in line


@pytest.mark.parametrize("role", MAINS)
def test_all_faults_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], role: str
) -> None:
    for variable in [variable for variable in os.environ if variable.startswith("OPSC_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("OPSC_LOG_LEVEL", "loud")
    assert MAINS[role]() == 2
    lines = capsys.readouterr().err.splitlines()
    # what ingest reads from is looked at once its fields are right
    secret_key = [] if role in ("ingest", "listen") else ["OPSC_SECRET_KEY"]
    expected = ["OPSC_LOG_LEVEL", "OPSC_DATABASE_URL", *secret_key]
    assert [line.partition(":")[0] for line in lines] == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"OPSC_API_HOST": "localhost"},
        {"OPSC_API_HOST": "::1"},
        {"OPSC_API_HOST": "0.0.0.0", "OPSC_ALLOW_PLAIN_HTTP": "1"},
        {"OPSC_API_HOST": "0.0.0.0", "OPSC_API_PROXY_NETWORKS": "127.0.0.1, 10.0.0.0/8"},
    ],
    ids=str,
)
def test_an_api_that_nobody_reaches_in_clear_text_unasked_starts(
    settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (GOOD | settings).items():
        monkeypatch.setenv(name, value)
    assert read_settings(ApiSettings).api_host == settings["OPSC_API_HOST"]
