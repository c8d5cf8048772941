"""SQL as the application's role cannot do what the rules of timesheets forbid."""

from uuid import UUID

import pytest

from db.core.ids import new_id
from tests.db.rules.proving import (
    Statement,
    at_once,
    put,
    refusal,
)
from tests.servers import DatabaseUnderTest

_SOMEBODY = "(SELECT id FROM users WHERE email <> 'anna@example.com' LIMIT 1)"


@pytest.fixture(scope="module")
def own_user(database: DatabaseUnderTest, org_id: UUID) -> UUID:
    """A user who is an employee, beside another one."""
    user_id = new_id()
    put(
        database,
        (
            "INSERT INTO users (org_id, id, email, role) VALUES (%s, %s, 'anna@example.com',"
            " 'dispatcher')",
            (org_id, user_id),
        ),
        (
            "INSERT INTO employees (org_id, id, name, user_id) VALUES (%s, %s, 'Anna Keller', %s)",
            (org_id, user_id, user_id),
        ),
    )
    return user_id


def _timesheet(
    database: DatabaseUnderTest, org_id: UUID, own_user: UUID, state: str, days_ago: int = 9
) -> UUID:
    """Return a timesheet of two days that ended before; there is one at a time."""
    sheet_id = new_id()
    put(
        database,
        ("DELETE FROM timesheets WHERE org_id = %s", (org_id,)),
        (
            "INSERT INTO timesheets (org_id, id, employee_id, first_day, last_day, state,"
            " submitted_by, submitted_at, decided_by, decided_at, locked_by, locked_at, figures,"
            " rules) SELECT %(org)s, %(id)s, %(who)s, current_date - %(days)s,"
            " current_date + 1 - %(days)s, %(state)s, submitted, of_submission, decided,"
            " of_decision, locked, of_locking, figures, figures FROM (SELECT"
            " CASE WHEN %(state)s <> 'open' THEN %(who)s::uuid END,"
            " CASE WHEN %(state)s <> 'open' THEN now() END,"
            " CASE WHEN %(state)s = ANY ('{approved,rejected,locked}') THEN %(who)s::uuid END,"
            " CASE WHEN %(state)s = ANY ('{approved,rejected,locked}') THEN now() END,"
            " CASE WHEN %(state)s = 'locked' THEN %(who)s::uuid END,"
            " CASE WHEN %(state)s = 'locked' THEN now() END,"
            " CASE WHEN %(state)s = ANY ('{approved,locked}') THEN jsonb '{}' END) AS made"
            " (submitted, of_submission, decided, of_decision, locked, of_locking, figures)",
            {
                "org": org_id,
                "id": sheet_id,
                "who": own_user,
                "state": state,
                "days": days_ago,
            },
        ),
    )
    return sheet_id


def _approved(sheet_id: UUID, user: str) -> Statement:
    return (
        "UPDATE timesheets SET state = 'approved', decided_at = now(), figures = '{}',"
        f" rules = '{{}}', decided_by = (SELECT id FROM users WHERE email {user}"
        " 'anna@example.com' LIMIT 1) WHERE id = %s",
        (sheet_id,),
    )


async def test_nobody_approves_their_own_hours_nor_those_of_days_to_come(
    database: DatabaseUnderTest, org_id: UUID, own_user: UUID
) -> None:
    sheet_id = _timesheet(database, org_id, own_user, "submitted")
    assert await refusal(database, org_id, _approved(sheet_id, "=")) == "timesheet_approval"
    assert await refusal(database, org_id, _approved(sheet_id, "<>")) is None
    sheet_id = _timesheet(database, org_id, own_user, "submitted", days_ago=-1)
    assert await refusal(database, org_id, _approved(sheet_id, "<>")) == "timesheet_approval"
    sheet_id = _timesheet(database, org_id, own_user, "open", days_ago=-1)
    submitted = (
        "UPDATE timesheets SET state = 'submitted', submitted_by = %s, submitted_at = now()"
        " WHERE id = %s",
        (own_user, sheet_id),
    )
    assert await refusal(database, org_id, submitted) == "timesheet_approval"


@pytest.mark.parametrize(
    ("state", "change"),
    [
        ("submitted", f"submitted_by = {_SOMEBODY}"),
        ("submitted", "submitted_at = now()"),
        ("approved", f"decided_by = {_SOMEBODY}"),
        ("rejected", "decided_at = now()"),
        ("locked", "locked_at = now()"),
        ("approved", "submitted_at = now()"),
        ("approved", "state = 'locked', locked_by = decided_by, locked_at = now(),"
         " decided_at = now()"),
        ("submitted", "state = 'rejected', decided_by = submitted_by, decided_at = now(),"
         " submitted_at = now()"),
    ],
)  # fmt: skip
async def test_who_submitted_and_approved_hours_stays(
    database: DatabaseUnderTest, org_id: UUID, own_user: UUID, state: str, change: str
) -> None:
    sheet_id = _timesheet(database, org_id, own_user, state)
    changed = f"UPDATE timesheets SET {change} WHERE id = %s", (sheet_id,)
    assert await refusal(database, org_id, changed) == "timesheet_says_who"


def _adjusted(sheet_id: UUID, day: int = 0, seconds: int = 60, times: int = 1) -> Statement:
    return (
        "INSERT INTO timesheet_adjustments (org_id, id, timesheet_id, day, seconds, reason,"
        " created_by) SELECT org_id, gen_random_uuid(), id, first_day + %s, %s, 'x', employee_id"
        " FROM timesheets, generate_series(1, %s) WHERE id = %s",
        (day, seconds, times, sheet_id),
    )


@pytest.mark.parametrize("state", ["open", "submitted", "rejected", "approved", "locked"])
async def test_hours_are_adjusted_until_they_are_approved(
    database: DatabaseUnderTest, org_id: UUID, own_user: UUID, state: str
) -> None:
    sheet_id = _timesheet(database, org_id, own_user, state)
    wanted = "timesheet_takes_adjustments" if state in ("approved", "locked") else None
    assert await refusal(database, org_id, _adjusted(sheet_id)) == wanted


async def test_adjustments_are_bounded(
    database: DatabaseUnderTest, org_id: UUID, own_user: UUID
) -> None:
    sheet_id = _timesheet(database, org_id, own_user, "open")
    for day in (-1, 2):
        other = _adjusted(sheet_id, day)
        assert await refusal(database, org_id, other) == "timesheet_takes_adjustments"
    a_day = _adjusted(sheet_id, seconds=43_200, times=2)
    second = _adjusted(sheet_id, seconds=1)
    assert await refusal(database, org_id, a_day, second) == "timesheet_adjustments_most"
    many = _adjusted(sheet_id, seconds=-1, times=100)
    assert await refusal(database, org_id, many) is None
    assert await refusal(database, org_id, second) == "timesheet_adjustments_most"


async def test_hours_are_not_adjusted_while_they_are_approved(
    database: DatabaseUnderTest, org_id: UUID, own_user: UUID
) -> None:
    sheet_id = _timesheet(database, org_id, own_user, "submitted")
    approved, adjusted = _approved(sheet_id, "<>"), _adjusted(sheet_id)
    found = await at_once(database, org_id, [approved], [adjusted])
    assert found == [None, "timesheet_takes_adjustments"]
