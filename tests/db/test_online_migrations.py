"""Which migrations may run beside the roles of the version before, and that these do not notice."""

import asyncio
import re
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import psycopg
import pytest

from db.maintenance import migrate
from db.maintenance.migrate import Migration, MigrationError, RolesConnected
from tests.api.running import running_api
from tests.servers import DatabaseUnderTest
from tests.waiting import until

FIRST_MARKED = 18
KIND = re.compile(r"online|offline: \S.*")
# Those with a row for each fix, event, request or message: whatever looks through one takes long.
LARGE = (
    "gps_events|fix_hours|inbox|visits|events|event_subjects|told_trips|audit_events|search_terms"
    "|webhook_deliveries|webhook_attempts|quarantine|idempotency_keys|attachment_pieces"
    "|asset_checkpoints|punches|punch_evidence|stock_movements"
)
_A_TABLE = r"(?:ONLY )?(\w+)"


class Form(NamedTuple):
    """A form of statement that cannot be online. example: one that is not to be found."""

    pattern: str
    why: str
    example: str


FORMS = [
    Form(
        r"\bDROP (TABLE|COLUMN|VIEW|FUNCTION|PROCEDURE|TYPE|TRIGGER)\b",
        "the version before uses it",
        "ALTER TABLE assets DROP COLUMN model",
    ),
    Form(
        r"\bRENAME\b", "the version before has its name", "ALTER TABLE assets RENAME model TO type"
    ),
    Form(r"\bREVOKE\b", "the version before has the right", "REVOKE UPDATE ON jobs FROM opsc_app"),
    Form(
        r"\bALTER (COLUMN )?\w+ (SET DATA )?TYPE\b",
        "the table is written anew",
        "ALTER TABLE assets ALTER COLUMN model TYPE varchar",
    ),
    Form(
        r"\bSET NOT NULL\b",
        "all rows are looked through, and the version before may write a NULL",
        "ALTER TABLE assets ALTER COLUMN model SET NOT NULL",
    ),
    Form(
        r"\bADD COLUMN \w+ (?:(?!\bDEFAULT\b)[^,])*\bNOT NULL\b(?![^,]*\bDEFAULT\b)",
        "the version before does not write it",
        "ALTER TABLE assets ADD COLUMN kind text NOT NULL",
    ),
    Form(
        r"\bADD COLUMN [^,]*(\bSTORED\b|serial\b"
        r"|DEFAULT (gen_random_uuid|uuid7_of_now|random|clock_timestamp|nextval)\()",
        "the table is written anew",
        "ALTER TABLE assets ADD COLUMN key uuid DEFAULT gen_random_uuid()",
    ),
    Form(
        rf"\bALTER TABLE (ONLY )?({LARGE}) (?!.*\bNOT VALID$).*\bADD (CONSTRAINT|CHECK|UNIQUE"
        r"|PRIMARY|FOREIGN|EXCLUDE)\b",
        "all rows are looked through",
        "ALTER TABLE visits ADD CONSTRAINT a CHECK (revision > 0)",
    ),
    Form(
        rf"\bCREATE (UNIQUE )?INDEX .*\bON (ONLY )?({LARGE})\b",
        "nothing is written meanwhile; CONCURRENTLY goes into no transaction, and there is none of"
        " hypertables",
        "CREATE INDEX visits_of_trackers ON visits (tracker_id)",
    ),
    Form(
        rf"^(UPDATE|DELETE FROM) (ONLY )?({LARGE})\b",
        "rows are locked for long",
        "UPDATE visits SET revision = 1",
    ),
    Form(
        r"^(LOCK|TRUNCATE|CLUSTER|REINDEX|VACUUM)\b|\bVALIDATE CONSTRAINT\b(?=.*\bADD\b)"
        r"|\bSET (UNLOGGED|LOGGED|TABLESPACE|ACCESS METHOD)\b",
        "the table is locked for long",
        "REINDEX TABLE assets",
    ),
]
ONLINE = [
    "CREATE TABLE one_more (id uuid PRIMARY KEY, kind text NOT NULL)",
    "CREATE INDEX one_more_kind ON one_more (kind)",
    "ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check",
    "ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('export', 'other'))",
    "ALTER TABLE visits ADD CONSTRAINT a CHECK (revision > 0) NOT VALID",
    "ALTER TABLE visits VALIDATE CONSTRAINT a",
    "ALTER TABLE assets ADD COLUMN a text, ADD COLUMN b smallint NOT NULL DEFAULT 0",
    "ALTER TABLE assets ADD COLUMN b smallint DEFAULT 0 NOT NULL",
    "ALTER TABLE assets ALTER COLUMN model DROP NOT NULL",
    "GRANT UPDATE (a) ON assets TO opsc_app",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DROP TABLE x; SELECT 1 $$",
]


def _statements(text: str) -> list[str]:
    """Return the statements of a file, in a line each, without comments and bodies of functions."""
    text = re.sub(r"--[^\n]*", "", text)
    text = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", text, flags=re.DOTALL)
    return [" ".join(statement.split()) for statement in text.split(";") if statement.strip()]


def _faults(text: str) -> Iterator[str]:
    for statement in _statements(text):
        for form in FORMS:
            if re.search(form.pattern, statement):
                yield f"{statement}: {form.why}"
    # A file is one transaction: what is altered in it stays locked while rows are looked through.
    altered = re.findall(rf"ALTER TABLE {_A_TABLE} (?!VALIDATE)", text)
    for table in re.findall(rf"ALTER TABLE {_A_TABLE} VALIDATE", text):
        if table in altered:
            yield f"{table} is locked while its constraint is validated: do so in the next file"


def _numbered() -> list[Migration]:
    return [each for each in migrate.migrations() if each.version >= FIRST_MARKED]


def test_each_migration_says_whether_the_roles_go_on() -> None:
    for migration in _numbered():
        assert KIND.fullmatch(migration.kind), f"{migration.name}: see CONTRIBUTING.md"


def test_what_is_online_locks_nothing_for_long_and_leaves_what_the_version_before_uses() -> None:
    for migration in _numbered():
        if migration.is_online:
            assert list(_faults(migration.text)) == [], migration.name


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.example)
def test_a_form_that_cannot_be_online_is_found(form: Form) -> None:
    assert any(form.why in fault for fault in _faults(f"-- online\n{form.example};\n"))


def test_a_constraint_is_not_validated_while_its_table_is_locked() -> None:
    added, validated = ONLINE[4], ONLINE[5]
    assert len(list(_faults(f"{added};\n{validated};"))) == 1


@pytest.mark.parametrize("statement", ONLINE)
def test_what_can_be_online_is_not_refused(statement: str) -> None:
    assert list(_faults(f"-- online\n{statement}; -- DROP TABLE\n")) == []


def test_a_migration_that_says_nothing_is_offline() -> None:
    kinds = {text: Migration(1, "x", text).kind for text in ("-- online\nA", "-- offline: b\nA")}
    assert list(kinds.values()) == ["online", "offline: b"]
    for text in ("A", "-- on line\nA", "-- online, almost\nA", "-- offline:\nA", ""):
        assert not Migration(1, "x", text).is_online


def _put_behind(patch: pytest.MonkeyPatch, *texts: str) -> Sequence[str]:
    """Let these be the migrations behind those that there are, and return their names."""
    there = migrate.migrations()
    new = [
        Migration(number, f"{number}_made_up.sql", text)
        for number, text in enumerate(texts, there[-1].version + 1)
    ]
    patch.setattr(migrate, "migrations", lambda: [*there, *new])
    return [migration.name for migration in new]


async def test_roles_go_on_over_an_online_migration(
    database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _put_behind(
        monkeypatch,
        "-- online\nALTER TABLE assets ADD COLUMN made_up smallint NOT NULL DEFAULT 0;\n"
        "ALTER TABLE assets ADD CONSTRAINT made_up CHECK (made_up >= 0);\n"
        "CREATE INDEX made_up ON assets (made_up);\n",
    )
    statuses: list[int] = []
    with running_api(database) as api:
        org = api.organization("North")

        async def work() -> None:
            while True:
                made = await org.admin.post("/v1/assets", {"name": "Crane"})
                listed = await org.viewer.get("/v1/assets")
                statuses.extend((made.status, listed.status))

        working = asyncio.create_task(work())
        await until(lambda: len(statuses) >= 4)
        applied = await asyncio.to_thread(migrate.migrate, database.url("admin"))
        many = len(statuses) + 6  # what was prepared before, and is used again
        await until(lambda: len(statuses) >= many or working.done())
        working.cancel()
    assert applied == names
    assert set(statuses) == {201, 200}
    database.run("admin", "ALTER TABLE assets DROP COLUMN made_up")
    database.run("admin", "DELETE FROM schema_migrations WHERE name = %s", names)


def test_an_offline_migration_waits_for_roles_to_end_and_names_them(
    empty_database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_database.url("admin")
    migrate.migrate(url)
    online, offline = _put_behind(
        monkeypatch,
        "-- online\nCREATE TABLE one (id int PRIMARY KEY);",
        "-- offline: rewrites all\nCREATE TABLE two (id int PRIMARY KEY);",
    )
    monkeypatch.setattr(migrate, "_ENDING_S", 0.0)
    with (
        psycopg.connect(empty_database.url("opsc_owner")),  # no role that runs
        psycopg.connect(empty_database.url("opsc_ingest"), application_name="opsc-ingest"),
        pytest.raises(RolesConnected) as refused,
    ):
        migrate.migrate(url)
    assert f"{offline} (offline: rewrites all)" in str(refused.value)
    assert "connected: opsc-ingest. Nothing" in str(refused.value)
    assert migrate.pending(url) == [online, offline]
    monkeypatch.setattr(migrate, "_ENDING_S", 60.0)
    ending = psycopg.connect(empty_database.url("opsc_ingest"))
    threading.Timer(0.3, ending.close).start()
    assert migrate.migrate(url) == [online, offline]


def test_force_migrates_beside_the_roles(
    empty_database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_database.url("admin")
    migrate.migrate(url)
    names = _put_behind(monkeypatch, "-- offline: so\nCREATE TABLE one (id int PRIMARY KEY);")
    with psycopg.connect(empty_database.url("opsc_app")):
        assert migrate.migrate(url, force=True) == names


def test_an_online_migration_that_waits_stops_nobody_for_long(
    empty_database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_database.url("admin")
    migrate.migrate(url)
    names = _put_behind(monkeypatch, "-- online\nALTER TABLE clients ADD COLUMN made_up text;")
    monkeypatch.setattr(migrate, "_LOCK_S", 0.1)
    monkeypatch.setattr(migrate, "_PAUSE_S", 0.1)
    held = "SELECT count(*) FROM clients"
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as other:
        holder.execute(held)
        waiting = threading.Thread(target=migrate.migrate, args=(url,))
        waiting.start()
        while not _is_waiting(other):
            assert waiting.is_alive()
        # Behind the ALTER TABLE that waits for `holder`, and served before `holder` ends.
        other.execute("SET lock_timeout = '30s'")
        other.execute(held)
        assert migrate.pending(url) == names
        holder.rollback()
        waiting.join()
    assert migrate.pending(url) == []


def test_an_online_migration_that_gets_no_lock_says_so(
    empty_database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = empty_database.url("admin")
    migrate.migrate(url)
    (name,) = _put_behind(monkeypatch, "-- online\nALTER TABLE clients ADD COLUMN made_up text;")
    for constant, value in (("_LOCK_S", 0.01), ("_PAUSE_S", 0.0), ("_TRIES", 2)):
        monkeypatch.setattr(migrate, constant, value)
    with psycopg.connect(url) as holder:
        holder.execute("SELECT count(*) FROM clients")
        with pytest.raises(MigrationError, match=f"{name}: a transaction that lasts holds a lock"):
            migrate.migrate(url)
    assert migrate.migrate(url) == [name]


def _is_waiting(conn: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = conn.execute("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted").fetchone()
    return row is not None and bool(row[0])
