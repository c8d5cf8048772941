"""`opsc org`: the operator makes organizations and sets their plans."""

import json
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from db.core.ids import new_id
from stack.cli.organizations.org import org
from stack.errors import StackError
from telemetry.ids import format_id, parse_id
from tests.servers import DatabaseUnderTest

CREATE = ("create", "--name", "Acme", "--email", "Boss@Example.com", "--json")


@pytest.fixture(params=["opsc_owner", "admin"])
def login(request: pytest.FixtureRequest) -> str:
    return request.param


def _opsc(database: DatabaseUnderTest, login: str, *arguments: str) -> Result:
    return CliRunner().invoke(org, arguments, env={"OPSC_DATABASE_URL": database.url(login)})


def _said(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _plans(database: DatabaseUnderTest) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.url("admin")) as conn:
        return conn.execute(
            "SELECT plan, api_addon, api_access FROM organizations ORDER BY created_at"
        ).fetchall()


def test_an_organization_has_the_plan_unlimited_unless_it_is_given_another(
    database: DatabaseUnderTest, login: str
) -> None:
    before = len(_plans(database))
    for options in ((), ("--plan", "team"), ("--plan", "starter", "--addon")):
        made = _said(_opsc(database, login, *CREATE, *options))
        assert made["email"] == "boss@example.com"
    assert _plans(database)[before:] == [
        ("unlimited", False, True),
        ("team", False, False),
        ("starter", True, True),
    ]


def test_a_plan_is_changed_by_what_is_given(database: DatabaseUnderTest, login: str) -> None:
    org_id = _said(_opsc(database, login, *CREATE))["organization_id"]
    steps = [
        (("--plan", "starter"), "starter", False, False),
        (("--addon",), "starter", True, True),
        (("--plan", "team"), "team", True, True),
        (("--no-addon",), "team", False, False),
        ((), "team", False, False),
    ]
    for options, plan, addon, access in steps:
        said = _said(_opsc(database, login, "set-plan", org_id, *options, "--json"))
        assert said == {
            "organization_id": org_id,
            "plan": plan,
            "api_addon": addon,
            "api_access": access,
        }
        assert _plans(database)[-1] == (plan, addon, access)


def test_it_is_printed_for_people_too(database: DatabaseUnderTest) -> None:
    org_id = _said(_opsc(database, "admin", *CREATE))["organization_id"]
    result = _opsc(database, "admin", "set-plan", org_id, "--plan", "team", "--addon")
    assert result.stdout.splitlines() == [
        f"organization_id: {org_id}",
        "plan: team",
        "api_addon: true",
        "api_access: true",
    ]


@pytest.mark.parametrize("arguments", [("org_x",), ("nonsense",), ("ID", "--plan", "gold")])
def test_what_cannot_be_is_wrong_usage(
    database: DatabaseUnderTest, arguments: tuple[str, ...]
) -> None:
    known = format_id("org", new_id())
    given = [known if argument == "ID" else argument for argument in arguments]
    assert _opsc(database, "admin", "set-plan", *given).exit_code == 2


def test_an_organization_that_is_not_there_is_said_so(
    database: DatabaseUnderTest, login: str
) -> None:
    result = _opsc(database, login, "set-plan", format_id("org", new_id()), "--plan", "team")
    assert isinstance(result.exception, StackError)
    assert "no such organization" in str(result.exception)


def test_how_long_data_is_kept_is_changed_by_what_is_given(
    database: DatabaseUnderTest, login: str
) -> None:
    org_id = _said(_opsc(database, login, *CREATE))["organization_id"]
    steps = [
        (("--positions", "30"), 30, None, None),
        (("--events", "7", "--audit", "400"), 30, 7, 400),
        (("--positions", "0"), None, 7, 400),
        ((), None, 7, 400),
    ]
    for options, positions, events, audit in steps:
        said = _said(_opsc(database, login, "set-retention", org_id, *options, "--json"))
        kept = {"positions": positions, "events": events, "audit": audit, "attempts": None}
        assert said == {"organization_id": org_id, **kept}
    printed = _opsc(database, login, "set-retention", org_id).stdout
    assert "positions: as the installation" in printed
    for wrong in ("-1", "36501", "a"):
        assert _opsc(database, login, "set-retention", org_id, "--audit", wrong).exit_code == 2
    missing = _opsc(database, login, "set-retention", format_id("org", new_id()))
    assert "no such organization" in str(missing.exception)


def test_a_quota_is_set_and_given_back_to_the_plan(database: DatabaseUnderTest, login: str) -> None:
    org_id = _said(_opsc(database, login, *CREATE))["organization_id"]

    def own() -> list[tuple[str, int]]:
        with psycopg.connect(database.url("admin")) as conn:
            return conn.execute(
                "SELECT quota, most FROM organization_quotas WHERE org_id = %s",
                (parse_id("org", org_id),),
            ).fetchall()

    for most in ("20000", "7"):
        said = _said(_opsc(database, login, "set-quota", org_id, "assets", most, "--json"))
        assert said == {"organization_id": org_id, "quota": "assets", "most": most}
        assert own() == [("assets", int(most))]
    assert _opsc(database, login, "set-quota", org_id, "assets", "plan").exit_code == 0
    assert own() == []
    for wrong in (["asset", "7"], ["assets", "-7"], ["assets", "many"]):
        assert _opsc(database, login, "set-quota", org_id, *wrong).exit_code == 2
    missing = _opsc(database, login, "set-quota", format_id("org", new_id()), "assets", "7")
    assert isinstance(missing.exception, StackError)
