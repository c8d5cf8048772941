"""History is read from a standby while it has what is to be shown, and else from the primary."""

import asyncio
import math
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolTimeout

from api.resources.exports import Asker
from db.core import standby as standbys
from db.core.connect import Connection, check_addresses, connect, of_standbys
from db.core.errors import DatabaseError, InternalError, NoConnection
from db.core.standby import HistoryReads, Standby, StandbyFailed
from db.core.tenant import read_for
from tests.api.resources.test_trips import day, store
from tests.api.running import CLOCK, Answer, Organization, RunningApi, running_api
from tests.api.shapes import square
from tests.api.stored import Carried, carried, minute, store_fixes, store_visit, text
from tests.servers import DatabaseUnderTest, PostgresUnderTest, Servers, beside
from tests.waiting import until

Session = psycopg.Connection[tuple[Any, ...]]

SPAN = {"from_": text(minute(-60)), "to": text(minute(600))}
# Each operation that reads history, with parameters beside asset_id.
HISTORY: dict[str, dict[str, Any]] = {
    "/v1/gps-events": {},
    "/v1/gps-events/nearest": {"lat": 0, "lon": 9, **SPAN},
    "/v1/visits": {},
    "/v1/zones/{id}/past-visits": SPAN,
    "/v1/trips": SPAN,
    "/v1/stops": SPAN,
    **{
        f"/v1/reports/{name}": SPAN
        for name in ("day", "trips", "stops", "distance", "utilization", "visits", "presence")
    },
}
NO_FILES = ("/v1/gps-events/nearest", "/v1/zones/{id}/past-visits")
ASKED = [
    *((path, "application/json") for path in HISTORY),
    *((path, "text/csv") for path in HISTORY if path not in NO_FILES),
]


@pytest.fixture(scope="module")
def pair(
    servers: Servers, migrated: PostgresUnderTest
) -> tuple[PostgresUnderTest, PostgresUnderTest]:
    """A primary, and a standby for which its commits do not wait."""
    primary, standby = servers.start_pair(migrated)
    with psycopg.connect(primary.admin_url(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
        conn.execute("SELECT pg_reload_conf()")
    return primary, standby


@pytest.fixture(scope="module")
def api(pair: tuple[PostgresUnderTest, PostgresUnderTest]) -> Iterator[RunningApi]:
    """An API over both."""
    primary, standby = pair
    database = primary.migrated_database()
    address = f"postgresql://127.0.0.1:{standby.port}"
    # Whatever is given up is not given up by the limit of a statement.
    with running_api(database, database_read_url=address, api_statement_timeout_s=300) as running:
        yield running


class Fleet:
    """A truck with a day of fixes and a visit; the API at a primary and a standby."""

    def __init__(
        self,
        api: RunningApi,
        org: Organization,
        standby: PostgresUnderTest,
        who: Carried,
        zone: str,
    ) -> None:
        self.api, self.org, self.server, self.who, self.zone = api, org, standby, who, zone
        assert api.live.state.standby is not None
        self.standby: Standby = api.live.state.standby

    async def get(
        self,
        path: str,
        accept: str = "application/json",
        *,
        asset: str | None = None,
        position: int | str | None = None,
        **more: Any,
    ) -> Answer:
        """Ask for the history of an asset."""
        headers = {"Accept": accept} | (
            {} if position is None else {"OPSC-Position": f"{position}"}
        )
        asked = HISTORY[path] | {"asset_id": asset or self.who.asset_id} | more
        return await self.org.viewer.get(path.format(id=self.zone), headers, **asked)

    def reads(self) -> dict[str, int]:
        return dict(self.standby.reads)

    async def caught_up(self) -> None:
        """Wait until the standby has all, and is asked."""
        with self.session() as session:
            position = self.position()
            await until(lambda: _replayed(session) >= position)

        async def is_asked() -> bool:
            before = self.reads().get("standby", 0)
            assert (await self.get("/v1/visits")).status == 200
            return self.reads().get("standby", 0) > before

        self.standby._again_s = 0.0  # where it has just failed
        await until(is_asked)

    def position(self) -> int:
        """Return the primary's."""
        return self.api.sql(standbys._POSITION)[0][0]

    def session(self) -> Session:
        """Return a superuser's session at the standby."""
        return psycopg.connect(self.server.admin_url(self.api.database.name), autocommit=True)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the standby replay nothing meanwhile."""
        with self.session() as session:
            session.execute("SELECT pg_wal_replay_pause()")
            while session.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() != (
                "paused",
            ):
                pass
            try:
                yield
            finally:
                session.execute("SELECT pg_wal_replay_resume()")


def _replayed(session: Session) -> int:
    row = session.execute(standbys._REPLAYED).fetchone()
    assert row is not None
    return row[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(
    api: RunningApi, north: Organization, pair: tuple[PostgresUnderTest, PostgresUnderTest]
) -> Fleet:
    return await _fleet(api, north, pair[1])


async def _fleet(api: RunningApi, org: Organization, standby: PostgresUnderTest) -> Fleet:
    who = await carried(org)
    zone = (await org.admin.post("/v1/zones", {"name": "Z", "geometry": square()})).json["id"]
    store(api, org, who.tracker_id, day())
    store_visit(api, org, who, zone, minute(5), minute(15))
    return Fleet(api, org, standby, who, zone)


@pytest.fixture
async def fleet(known: Fleet) -> Fleet:
    """The fleet, with a standby that has all of it."""
    await known.caught_up()
    return known


@pytest.fixture
def may_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a standby lag for long, so that only the position of a request decides."""
    monkeypatch.setattr(standbys, "MOST_LAG_S", 100_000.0)


async def test_every_operation_that_reads_history_is_asked_here(api: RunningApi) -> None:
    document = (await api.anonymous.get("/openapi.json")).json
    found = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if any(each.get("name") == "OPSC-Position" for each in operation.get("parameters", ()))
    }
    assert found == HISTORY.keys()


@pytest.mark.parametrize(("path", "accept"), ASKED)
async def test_history_is_read_from_the_standby(fleet: Fleet, path: str, accept: str) -> None:
    before, sent = fleet.reads(), len(fleet.api.statements)
    answer = await fleet.get(path, accept)
    assert (answer.status, answer.headers["Content-Type"].startswith(accept)) == (200, True)
    assert b"ast_" in answer.content or b"trk_" in answer.content or path in NO_FILES
    after = fleet.reads()
    assert after.pop("standby") > before.pop("standby")
    assert after == before
    of_tenants = [each for each in fleet.api.statements[sent:] if each.startswith("CALL read")]
    assert of_tenants == []


@pytest.mark.usefixtures("may_lag")
@pytest.mark.parametrize(("path", "accept"), ASKED)
async def test_a_change_is_seen_by_whoever_names_its_position(
    fleet: Fleet, path: str, accept: str
) -> None:
    with fleet.paused():
        made = await fleet.org.admin.post("/v1/assets", {"name": "New"})
        position = made.headers["OPSC-Position"]
        new = made.json["id"]
        assert (await fleet.get(path, accept, asset=new)).status == 404  # the standby has it not
        before = fleet.reads()
        answer = await fleet.get(path, accept, asset=new, position=position)
        assert answer.status == 200, answer.content
        assert fleet.reads()["behind"] > before.get("behind", 0)
        assert fleet.reads()["standby"] == before["standby"]
        # Whoever has seen less is not sent to the primary.
        older = int(position) - 100_000_000 if int(position) > 100_000_000 else 0
        assert (await fleet.get(path, accept, asset=new, position=older)).status == 404
    await fleet.caught_up()
    before = fleet.reads()
    assert (await fleet.get(path, accept, asset=new, position=position)).status == 200
    assert fleet.reads()["standby"] > before["standby"]


async def test_a_standby_that_lags_for_long_is_not_asked(fleet: Fleet) -> None:
    with fleet.paused():
        store_visit(fleet.api, fleet.org, fleet.who, fleet.zone, minute(20), minute(25))
        number = len((await fleet.get("/v1/visits")).json["data"])
        CLOCK.let_pass(standbys.MOST_LAG_S + 0.1)  # then its last known position is too old
        assert len((await fleet.get("/v1/visits")).json["data"]) == number + 1
        assert len(fleet.standby._asked) <= 1
        await until(lambda: fleet.standby._asked)
        before = fleet.reads()
        assert len((await fleet.get("/v1/visits")).json["data"]) == number + 1
        assert fleet.reads()["behind"] > before["behind"]
    await fleet.caught_up()
    assert fleet.standby.lag_s < standbys.MOST_LAG_S


@pytest.mark.usefixtures("may_lag")
async def test_what_was_received_is_read_from_the_primary(fleet: Fleet) -> None:
    asked = {"received_after": text(minute(100_000)), "tracker_id": fleet.who.tracker_id}
    with fleet.paused():
        at = minute(200_000)
        store_fixes(fleet.api, fleet.org, fleet.who.tracker_id, [at], received_at=at)
        listed = await fleet.org.viewer.get("/v1/gps-events", **asked)
    assert len(listed.json["data"]) == 1


@pytest.mark.usefixtures("may_lag")
async def test_a_change_that_is_repeated_by_its_key_says_its_position_again(fleet: Fleet) -> None:
    headers = {"Idempotency-Key": "once"}
    sent = [
        await fleet.org.admin.send("POST", "/v1/assets", headers, json={"name": "Once"})
        for _ in range(2)
    ]
    assert [each.headers.get("Idempotency-Replayed") for each in sent] == [None, "true"]
    first, second = (int(each.headers["OPSC-Position"]) for each in sent)
    assert 0 < first <= second
    refused = await fleet.org.admin.post("/v1/assets", {"nam": "x"})
    assert (refused.status, "OPSC-Position" in refused.headers) == (422, False)


@pytest.mark.parametrize("position", ["-1", "1/2", "x", "", "9" * 20])
async def test_what_is_no_position_is_refused(fleet: Fleet, position: str) -> None:
    answer = await fleet.get("/v1/visits", position=position)
    assert (answer.status, answer.json["code"]) == (400, "invalid_position")


@contextmanager
def breaking(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, number: int, fail: Callable[[Connection], Any]
) -> Iterator[list[int]]:
    """Have something done to the connection of a request's `number`th read from the standby, when
    its transaction is open. Yields the numbers of those that were reached.
    """
    usual, reached = Standby.reading, list[int]()

    @asynccontextmanager
    async def reading(
        self: Standby, org_id: UUID, position: int
    ) -> AsyncIterator[tuple[Connection, int]]:
        async with usual(self, org_id, position) as (conn, replayed):
            reached.append(len(reached) + 1)
            if reached[-1] == number:
                fail(conn)
            yield conn, replayed

    with monkeypatch.context() as patch:
        patch.setattr(Standby, "reading", reading)
        yield reached


@pytest.mark.parametrize(("path", "accept"), ASKED)
async def test_a_connection_that_ends_in_the_middle_is_no_failure(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, path: str, accept: str
) -> None:
    """In the first, the middle and the last read of a request, behind the first page of a file."""
    monkeypatch.setattr(Asker.__init__, "__defaults__", (None, 7))  # rows of a reading
    monkeypatch.setattr("api.resources.visits.PAGE_ROWS", 1)
    monkeypatch.setattr("api.resources.trips.listing.PAGE_ROWS", 1)
    with breaking(fleet, monkeypatch, 0, lambda _: None) as reached:
        whole = await fleet.get(path, accept)
    assert whole.status == 200
    last = len(reached)
    with fleet.session() as session:

        def end(conn: Connection) -> None:
            session.execute("SELECT pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,))

        for number in {1, (1 + last) // 2, last}:
            await fleet.caught_up()
            with breaking(fleet, monkeypatch, number, end) as reached:
                before = fleet.reads()
                answer = await fleet.get(path, accept)
            assert (answer.status, answer.content) == (200, whole.content), number
            assert len(reached) == number
            assert fleet.reads()["failed"] > before.get("failed", 0)


@pytest.mark.parametrize("is_active", [True, False])
async def test_a_conflict_with_recovery_is_no_failure(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_active: bool
) -> None:
    """What is replayed needs a lock that the read has: PostgreSQL cancels a statement that runs,
    and ends a session that does not.
    """
    whole = await fleet.get("/v1/visits")
    errors: list[DatabaseError] = []
    with fleet.session() as session:
        session.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        session.execute("SELECT pg_reload_conf()")

        def conflict(pid: int) -> None:
            while (
                session.execute(
                    "SELECT FROM pg_stat_activity WHERE pid = %s AND query ~ 'pg_sleep'"
                    " AND state = %s",
                    (pid, "active" if is_active else "idle in transaction"),
                ).rowcount
                == 0
            ):
                pass
            fleet.api.sql("BEGIN; LOCK TABLE visits IN ACCESS EXCLUSIVE MODE; COMMIT")

        def prepare(conn: Connection) -> None:
            usual, pid = conn.execute, conn.info.backend_pid

            async def execute(*args: Any, **options: Any) -> Any:
                conn.execute = usual
                thread = threading.Thread(target=conflict, args=(pid,))
                seconds = 60 if is_active else 0
                slow = f"SELECT pg_sleep({seconds}) FROM visits LIMIT 1"
                try:
                    if is_active:
                        thread.start()
                    await usual(slow.encode())
                    thread.start()
                    await asyncio.to_thread(thread.join)
                    ended = "SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
                    await until(lambda: session.execute(ended.encode(), (pid,)).rowcount)
                    return await usual(*args, **options)
                except DatabaseError as error:
                    errors.append(error)
                    raise

            conn.execute = execute

        try:
            with breaking(fleet, monkeypatch, 1, prepare):
                answer = await fleet.get("/v1/visits")
        finally:
            session.execute("ALTER SYSTEM RESET max_standby_streaming_delay")
            session.execute("SELECT pg_reload_conf()")
    assert (answer.status, answer.content) == (200, whole.content)
    (error,) = errors
    assert "conflict with recovery" in str(error)
    if is_active:
        assert error.sqlstate == "40001"
        # It was this read's own fault: the next one goes there again.
        before = fleet.reads()
        assert (await fleet.get("/v1/visits")).status == 200
        assert fleet.reads()["standby"] == before["standby"] + 1


@pytest.mark.parametrize(
    ("error", "why", "is_asked_again"),
    [
        (NoConnection(is_share_used=True), "busy", True),
        (PoolTimeout("none in time"), "away", False),
        (InternalError("something else"), "away", False),
    ],
)
async def test_without_a_connection_the_primary_answers(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str, is_asked_again: bool
) -> None:
    @asynccontextmanager
    async def refuse(*_: Any, **__: Any) -> AsyncIterator[Connection]:
        raise error
        yield

    before = fleet.reads()
    with monkeypatch.context() as patch:
        patch.setattr(fleet.standby.connections, "connection", refuse)
        assert (await fleet.get("/v1/visits")).status == 200
    assert fleet.reads()[why] == before.get(why, 0) + 1
    await fleet.get("/v1/visits")
    assert (fleet.reads()["standby"] > before["standby"]) == is_asked_again


async def test_a_standby_that_does_not_answer_costs_one_request_a_moment(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standbys, "_ANSWER_S", 0.2)
    with fleet.session() as session:
        of_api = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'opsc-api-history'"
        ).fetchall()
    assert of_api
    for (pid,) in of_api:
        os.kill(pid, signal.SIGSTOP)
    try:
        before = fleet.reads()
        assert (await fleet.get("/v1/visits")).status == 200
        many = await asyncio.gather(*(fleet.get("/v1/visits") for _ in range(5)))
        assert {each.status for each in many} == {200}
        assert fleet.reads()["away"] == before.get("away", 0) + 6
    finally:
        for (pid,) in of_api:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def test_a_standby_that_is_killed_under_requests_is_no_failure(fleet: Fleet) -> None:
    statuses: list[int] = []
    ends = asyncio.Event()

    async def ask() -> None:
        while not ends.is_set():
            for path in ("/v1/visits", "/v1/trips", "/v1/gps-events"):
                statuses.append((await fleet.get(path)).status)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    try:
        await until(lambda: len(statuses) >= 20)
        await beside(fleet.server.kill)
        before = len(statuses)
        await until(lambda: len(statuses) >= before + 40)
    finally:
        ends.set()
        await asyncio.gather(*asking)
        await beside(fleet.server.start)
    assert set(statuses) == {200}
    assert fleet.reads()["away"] > 0
    await fleet.caught_up()


async def test_tenants_see_their_own_rows_alone_on_the_standby(
    fleet: Fleet, api: RunningApi, south: Organization
) -> None:
    theirs = await _fleet(api, south, fleet.server)
    await theirs.caught_up()
    for path, accept in ASKED:
        ours = await fleet.get(path, accept)
        assert ours.status == 200
        assert theirs.who.asset_id.encode() not in ours.content
        assert theirs.who.tracker_id.encode() not in ours.content
        assert (await fleet.get(path, accept, asset=theirs.who.asset_id)).status == 404
    tables = [
        name
        for (name,) in api.sql(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relpersistence = 'p'"
        )
        if api.sql("SELECT has_table_privilege('opsc_app', %s, 'SELECT')", name)[0][0]
    ]
    assert {"visits", "gps_events", "assets"} <= set(tables)
    url = of_standbys(api.database.url("opsc_app"), f"postgresql://127.0.0.1:{fleet.server.port}")
    seen = 0
    async with await connect(url, "test") as conn:
        for table in tables:
            of_others = f"SELECT count(*) FROM {table} WHERE org_id IS DISTINCT FROM %s".encode()
            of_all = f"SELECT count(*) FROM {table}".encode()
            if api.sql("SELECT FROM pg_attribute WHERE attrelid = %s::regclass"
                       " AND attname = 'org_id'", table):  # fmt: skip
                async with conn.transaction():
                    await read_for(conn, south.org_id)
                    cursor = await conn.execute(of_others, (south.org_id,))
                    assert await cursor.fetchone() == (0,), table
                    cursor = await conn.execute(of_all)
                    seen += (await cursor.fetchone() or (0,))[0]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute("SELECT set_config('app.org_id', 'x', true)")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await conn.execute("UPDATE assets SET name = name")
    assert seen > 100


async def test_a_standby_that_leads_is_not_asked(
    private_servers: Servers, migrated: PostgresUnderTest
) -> None:
    primary, standby = private_servers.start_pair(migrated)
    with psycopg.connect(primary.admin_url(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
        conn.execute("SELECT pg_reload_conf()")
    address = f"postgresql://127.0.0.1:{standby.port}"
    with running_api(primary.migrated_database(), database_read_url=address) as api:
        fleet = await _fleet(api, await asyncio.to_thread(api.organization, "North"), standby)
        await fleet.caught_up()
        standby.promote()
        with fleet.session() as session:
            await until(lambda: _replayed_or_none(session) is None)
        store_visit(api, fleet.org, fleet.who, fleet.zone, minute(20), minute(25))
        before = fleet.reads()
        for _ in range(3):
            assert len((await fleet.get("/v1/visits")).json["data"]) == 2
            fleet.standby._again_s = 0.0
        assert fleet.reads()["away"] == before.get("away", 0) + 3
        assert fleet.reads()["standby"] == before["standby"]


def _replayed_or_none(session: Session) -> Any:
    return (session.execute(standbys._REPLAYED).fetchone() or (0,))[0]


async def test_reads_of_a_request_go_back_to_no_older_standby(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next connection may lead to another standby, which has less."""
    monkeypatch.setattr(standbys, "MOST_LAG_S", math.inf)
    url = fleet.api.database.url("opsc_app")
    limits, address = standbys.Limits(), f"postgresql://127.0.0.1:{fleet.server.port}"
    async with standbys.pool(url, "test", max_size=2) as primary:
        standby = Standby(primary, url, address, limits)
        async with standby.running():
            await until(lambda: standby._asked)
            reads = HistoryReads(standby, fleet.org.org_id, 0)
            async with reads.transaction():
                pass
            assert standby.reads == {"standby": 1}
            standby._asked.appendleft((0.0, 0))  # as if the primary had had nothing
            monkeypatch.setattr(standbys, "_REPLAYED", "SELECT 1::bigint")
            async with reads.transaction():
                pass
            monkeypatch.undo()
            async with reads.transaction():  # nor from the primary to a standby
                pass
            assert standby.reads == {"standby": 1, "behind": 2}


async def test_a_failure_is_told_to_whoever_reads_and_the_next_read_is_the_primarys(
    fleet: Fleet,
) -> None:
    url = fleet.api.database.url("opsc_app")
    limits, address = standbys.Limits(), f"postgresql://127.0.0.1:{fleet.server.port}"
    async with standbys.pool(url, "test", max_size=2) as primary:
        standby = Standby(primary, url, address, limits)
        async with standby.running():
            await until(lambda: standby._asked)
            reads = HistoryReads(standby, fleet.org.org_id, 0)
            with pytest.raises(StandbyFailed):
                async with reads.transaction() as conn:
                    await conn.execute("SELECT 1 / 0")
            async with reads.transaction() as conn:
                cursor = await conn.execute("SELECT pg_is_in_recovery()")
                assert await cursor.fetchone() == (False,)


def test_a_standby_has_the_login_and_the_database_of_the_primary() -> None:
    url = "postgresql://opsc_app:secret@a:5432,b:5433/opsc?sslmode=require"
    parts = conninfo_to_dict(of_standbys(url, "postgresql://b,c"))
    assert parts == {
        "user": "opsc_app",
        "password": "secret",
        "dbname": "opsc",
        "sslmode": "require",
        "host": "b,c",
        "port": ",",
        "target_session_attrs": "standby",
    }
    of_one = of_standbys("postgresql://opsc_app@a/opsc", "postgresql://b:5434")
    assert conninfo_to_dict(of_one)["port"] == "5434"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://opsc_app@a", "must have no login"),
        ("postgresql://:secret@a", "must have no login"),
        ("a:5432", "must be a URL like"),
        ("postgresql://a:x", "must be a URL like"),
    ],
)
def test_addresses_that_are_none_are_refused(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_addresses(address)


async def test_without_a_standby_nothing_is_said_of_positions(database: DatabaseUnderTest) -> None:
    with running_api(database) as api:
        org = await asyncio.to_thread(api.organization, "North")
        made = await org.admin.post("/v1/assets", {"name": "Crane"})
        listed = await org.viewer.get("/v1/visits", {"OPSC-Position": "9" * 19})
    assert (made.status, listed.status) == (201, 200)
    assert "OPSC-Position" not in made.headers
