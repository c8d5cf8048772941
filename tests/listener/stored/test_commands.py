"""The listener's look for commands: when something was queued, and as good as never otherwise."""

from typing import Any
from uuid import UUID

from db.core.connect import connect
from db.core.ids import new_id
from db.core.wakeups import Channel
from db.listener.commands import TakenCommand
from listener.stored.commands import MOST_ANSWER_CHARACTERS, Commands
from tests.ingest.tenants import Tenant
from tests.waiting import until

LAST = "SELECT state_change FROM pg_stat_activity WHERE pid = %s"


class Device:
    """A connection that takes commands."""

    answers_commands = True

    def __init__(self) -> None:
        self.heard: list[TakenCommand] = []

    def send_command(self, command: TakenCommand) -> None:
        self.heard.append(command)


def queue(tenant: Tenant, tracker_id: UUID, text: str) -> None:
    tenant.database.run(
        "admin",
        "INSERT INTO commands (org_id, id, tracker_id, text, repeatable, created_by, created_at,"
        " expires_at)"
        " SELECT org_id, %s, %s, %s, false, id, now(), now() + interval '1 hour' FROM users"
        "  WHERE org_id = %s LIMIT 1",
        (new_id(), tracker_id, text, tenant.org_id),
    )


def told(tenant: Tenant) -> None:
    tenant.database.run("admin", f"NOTIFY {Channel.COMMANDS}")


def last_asked(tenant: Tenant, pid: int) -> Any:
    """Return when a session was last asked something."""
    return tenant.database.run("admin", LAST, (pid,))


async def test_nothing_is_asked_while_nothing_is_queued_and_a_wake_up_is_heard(
    tenant: Tenant,
) -> None:
    tracker_id = await tenant.loose_tracker()
    commands, device = Commands(), Device()
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        await commands.write(conn)
        commands.opened(tenant.org_id, tracker_id, device)
        asked = last_asked(tenant, conn.info.backend_pid)
        for _ in range(20):
            await commands.write(conn)
        assert last_asked(tenant, conn.info.backend_pid) == asked
        queue(tenant, tracker_id, "getinfo")
        await commands.write(conn)
        assert device.heard == []  # nobody said so
        told(tenant)

        async def is_sent() -> bool:
            await commands.write(conn)
            return bool(device.heard)

        await until(is_sent)
        assert [command.text for command in device.heard] == ["getinfo"]


async def test_another_session_looks_at_once_and_a_device_that_comes_costs_no_query(
    tenant: Tenant,
) -> None:
    tracker_id = await tenant.loose_tracker()
    commands, device = Commands(), Device()
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        await commands.write(conn)
    queue(tenant, tracker_id, "getinfo")  # while nobody listened
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        await commands.write(conn)
        assert commands.is_waited_for(tracker_id)
        for_another, another = await tenant.loose_tracker(), Device()
        commands.opened(tenant.org_id, for_another, another)
        asked = last_asked(tenant, conn.info.backend_pid)
        await commands.write(conn)
        assert last_asked(tenant, conn.info.backend_pid) == asked
        commands.opened(tenant.org_id, tracker_id, device)
        await commands.write(conn)
        assert [command.text for command in device.heard] == ["getinfo"]


async def test_the_newest_connection_gets_the_command_and_one_that_leaves_none(
    tenant: Tenant,
) -> None:
    tracker_id = await tenant.loose_tracker()
    commands, older, newer = Commands(), Device(), Device()
    queue(tenant, tracker_id, "getinfo")
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        commands.opened(tenant.org_id, tracker_id, older)
        commands.opened(tenant.org_id, tracker_id, newer)
        await commands.write(conn)
        (command,) = newer.heard
        commands.answered(command, "x" * 5_000)
        queue(tenant, tracker_id, "getio")
        commands.closed(tracker_id, newer)
        await commands.write(conn)
        assert [each.text for each in older.heard] == ["getio"]
        queue(tenant, tracker_id, "getver")
        commands.closed(tracker_id, older)
        commands.is_stopped = True
        commands.opened(tenant.org_id, tracker_id, newer)
        await commands.write(conn)
    assert len(newer.heard) == 1
    ((answer,),) = tenant.rows("SELECT answer FROM commands WHERE answered_at IS NOT NULL")
    assert answer == "x" * MOST_ANSWER_CHARACTERS
