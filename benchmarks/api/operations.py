"""The requests of `benchmarks.api.run`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import msgspec

from benchmarks.api import work_rows
from benchmarks.api.http_load import UNIQUE
from benchmarks.api.rows import History
from benchmarks.common import rows as setup_rows
from telemetry.ids import format_id

VARIETY = 500  # different assets, trackers, zones that are asked for in turn


@dataclass(frozen=True, slots=True)
class Operation:
    """Requests of one kind, sent in turn."""

    name: str
    method: str
    targets: Sequence[str]
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    by_key: bool = False
    status: int = 200

    @property
    def path(self) -> str:
        """Its path at the ceiling."""
        return "/" + quote(self.name)


def operations(history: History, assets: int, zones: int) -> list[Operation]:
    """Return the requests, in order."""
    asset = [format_id("ast", setup_rows.asset_uuid(n * 7 % assets)) for n in range(VARIETY)]
    tracker = [
        format_id("trk", setup_rows.tracker_uuid(n * 7 % history.busy)) for n in range(VARIETY)
    ]
    zone = [format_id("zon", setup_rows.zone_uuid(n * 7 % zones)) for n in range(VARIETY)]
    windows = [_window(history.now, days) for days in range(2, history.days - 2)]
    new = b'{"name": "Truck 12", "make": "Volvo", "model": "FH16", "tags": ["night", "van"]}'
    json_body = (("Content-Type", "application/json"),)
    with_key = (*json_body, ("Idempotency-Key", UNIQUE.decode()))
    return [
        Operation("list", "GET", ["/v1/assets"]),
        Operation("list, by API key", "GET", ["/v1/assets"], by_key=True),
        Operation("get", "GET", [f"/v1/assets/{one}" for one in asset]),
        Operation("create", "POST", ["/v1/assets"], new, json_body, status=201),
        Operation("create, idempotent", "POST", ["/v1/assets"], new, with_key, status=201),
        Operation(
            "gps-events of a tracker",
            "GET",
            [
                _query("gps-events", window, tracker_id=one)
                for one, window in _pairs(tracker, windows)
            ],
        ),
        Operation(
            "gps-events in a zone",
            "GET",
            [_query("gps-events", window, zone_id=one) for one, window in _pairs(zone, windows)],
        ),
        Operation("positions of 1,000", "GET", ["/v1/assets/positions"]),
        Operation("positions of 50", "GET", ["/v1/assets/positions?limit=50"]),
        Operation(
            "visits of a zone", "GET", [f"/v1/visits?{urlencode({'zone_id': one})}" for one in zone]
        ),
        *_work(assets),
        Operation("events after seq", "GET", [f"/v1/events?after={n * 500}" for n in range(100)]),
    ]


def _work(assets: int) -> list[Operation]:
    """Return the requests about field operations; `report.AGAINST` compares them with assets."""
    json_body = (("Content-Type", "application/json"),)
    order = {
        "title": "Grease the crane",
        "client_id": format_id("cli", work_rows.client_uuid(7)),
        "assignee_ids": [format_id("emp", work_rows.employee_uuid(7))],
    }
    line = {"description": "Crane, a day", "quantity_thousandths": 1000, "unit_price_cents": 100}
    offer = {
        "title": "A crane for a day",
        "client_id": format_id("cli", work_rows.client_uuid(7)),
        "currency": "CHF",
        "valid_until": "2099-01-01",
        "lines": [line],
    }
    form = {
        "template_id": format_id("itpl", work_rows.template_uuid()),
        "asset_id": format_id("ast", setup_rows.asset_uuid(7)),
        "answers": {"brakes": {"value": "pass"}},
    }
    movement = {
        "kind": "receive",
        "part_id": format_id("prt", work_rows.part_uuid(7)),
        "warehouse_id": format_id("whs", work_rows.warehouse_uuid(7)),
        "quantity": 1,
    }
    made = [
        ("create work-orders", "work-orders", order),
        ("create work-orders, a title alone", "work-orders", {"title": order["title"]}),
        ("create quotes", "quotes", offer),
        ("create inspection-forms", "inspection-forms", form),
        ("create stock-movements", "stock-movements", movement),
    ]
    return [
        *(
            Operation(f"list of {name}", "GET", [f"/v1/{name}"])
            for name in ("work-orders", "inventory", "quotes", "inspection-forms")
        ),
        *(
            Operation(
                name, "POST", [f"/v1/{path}"], msgspec.json.encode(body), json_body, status=201
            )
            for name, path, body in made
        ),
        Operation("search", "GET", [f"/v1/search?q=crane+{n * 7 % assets}" for n in range(100)]),
    ]


def _window(now: datetime, days: int) -> dict[str, str]:
    """Return one day as parameters, `days` days ago."""
    since = now - timedelta(days=days)
    return {"from": since.isoformat(), "to": (since + timedelta(days=1)).isoformat()}


def _pairs(
    ids: Sequence[str], windows: Sequence[dict[str, str]]
) -> Iterator[tuple[str, dict[str, str]]]:
    return ((one, windows[n % len(windows)]) for n, one in enumerate(ids))


def _query(what: str, window: Mapping[str, str], **filters: str) -> str:
    return f"/v1/{what}?{urlencode({**filters, **window})}"
