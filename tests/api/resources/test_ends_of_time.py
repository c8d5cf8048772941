"""Times at the ends of all time are as good as any others where history is asked for."""

from typing import Any

import pytest

from tests.api.running import Organization
from tests.api.shapes import square
from tests.api.stored import carried

FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
SPANS: list[dict[str, str]] = [
    {"to": FIRST},
    {"from_": LAST},
    {"from_": FIRST, "to": FIRST},
    {"from_": LAST, "to": LAST},
    {"from_": FIRST, "to": "0001-01-02T00:00:00Z"},
    {"from_": "9999-12-31T00:00:00Z", "to": LAST},
    {"from_": FIRST, "to": LAST},
]
REPORTS = ["day", "trips", "stops", "visits", "distance", "utilization", "presence"]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
async def test_the_ends_of_time_are_no_fault_of_the_server(org: Organization, accept: str) -> None:
    asset_id = (await carried(org)).asset_id
    zone = await org.admin.post("/v1/zones", {"name": "Z", "geometry": square()})
    of_fixes: list[dict[str, Any]] = [
        *({}, {"sort": "time"}, {"asset_id": asset_id}, {"zone_id": zone.json["id"]}),
        *({"max_points": 5}, {"received_after": FIRST}, {"received_after": LAST}),
        *({"near": "90,0,1000"}, {"near": "-90,180,100000"}, {"near": "0,-180,100000"}),
        {"bbox": "-180,-90,180,90", "sort": "time"},
    ]
    asked: list[tuple[str, dict[str, Any]]] = [
        *(("gps-events", parameters) for parameters in of_fixes),
        *((f"reports/{report}", {}) for report in REPORTS),
        *((f"reports/{report}", {"time_zone": "Pacific/Kiritimati"}) for report in REPORTS),
        *((kind, {"asset_id": asset_id}) for kind in ("trips", "stops", "visits")),
        ("gps-events/nearest", {"lat": 90, "lon": 180}),
        (f"zones/{zone.json['id']}/past-visits", {}),
    ]
    for path, parameters in asked:
        for span in SPANS:
            headers = {"Accept": accept}
            answer = await org.admin.get(f"/v1/{path}", headers=headers, **parameters, **span)
            assert answer.status in (200, 400, 406), (path, parameters, span, answer.content)
