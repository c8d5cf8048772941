"""What pages know of the API by heart is what its document says."""

import json
import re
from typing import Any

import pytest

from api.openapi.event_types import EVENT_TYPES
from tests.audit.document import document
from tests.dashboard.browser import ROOT

SOURCE = ROOT / "dashboard" / "src"
PARTS = {"max_speed_mps": "MaxSpeeds", "punch_rules": "PunchNumbers"}
# The families of texts for values of the API, with the schemas and fields that have these.
FAMILIES = {
    "quota": ("QuotaItem", "quota"),
    "plan": ("UsageItem", "plan"),
    "policy": ("OrganizationItem", "punch_policy"),
    "period": ("TimesheetRuleFields", "period"),
    "reason": ("Reason", None),
    "thing": ("AuditEventItem", "resource_type"),
    "fault": ("FaultItem", "code"),
    "overtime": ("TimesheetRuleFields", "overtime_preset"),
}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """The schemas of the document."""
    return document()["components"]["schemas"]


def test_the_defaults_that_settings_show_hold(schemas: dict[str, Any]) -> None:
    source = (SOURCE / "organization" / "settings.ts").read_text()
    shown = re.findall(r"place: '([a-z_/]+)', unit: '[^']*', standard: (\d+)", source)
    assert len(shown) > 20
    for place, standard in shown:
        name, _, part = place.partition("/")
        schema = schemas[PARTS[name] if part else "OrganizationItem"]
        said = schema["properties"][part or name]["description"]
        assert re.search(rf"default {standard}\b", said), (place, said)
    hours = (SOURCE / "organization" / "hours.ts").read_text()
    longest = schemas["TimesheetRuleFields"]["properties"]["longest_shift_s"]["default"]
    assert f"STANDARD_SHIFT_S = {longest:_}" in hours


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_value_of_the_api_has_a_text(language: str, schemas: dict[str, Any]) -> None:
    catalogue = (SOURCE / "texts" / f"{language}.ftl").read_text()
    known = set(re.findall(r"^([a-z0-9-]+) =", catalogue, re.MULTILINE))
    types = {f"event-{re.sub('[._]', '-', each)}" for each in EVENT_TYPES}
    assert types - known == set()
    for family, (schema, field) in FAMILIES.items():
        found = re.findall(
            r'"enum": (\[.*?\])',
            json.dumps(schemas[schema] if field is None else schemas[schema]["properties"][field]),
        )
        wanted = {f"{family}-{each.replace('_', '-')}" for each in json.loads(found[0])}
        assert wanted
        assert wanted - known == set()
