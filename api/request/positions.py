"""Assets and employees with their last positions, as lists and the live map show them."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from api.http.encoding import id_text, time_text
from api.http.problems import Problem
from api.request.geojson import Feature
from db.core.connect import Connection
from db.history.last_positions import LastPosition
from db.resources import organizations


def _positioned(
    prefix: str, owner_id: UUID, name: str, position: LastPosition | None
) -> dict[str, Any]:
    return {"id": id_text(prefix, owner_id), "name": name, "position": position_item(position)}


asset_position = partial(_positioned, "ast")
"""Return an `AssetPosition`."""
employee_position = partial(_positioned, "emp")
"""Return an `EmployeePosition`."""


def position_item(position: LastPosition | None) -> dict[str, Any] | None:
    """Return a `PositionItem`."""
    if position is None:
        return None
    return {
        "tracker_id": id_text("trk", position.tracker_id),
        "time": time_text(position.time),
        "lat": position.lat,
        "lon": position.lon,
        "speed_mps": position.speed_mps,
        "course_deg": position.course_deg,
        "accuracy_m": position.accuracy_m,
    }


def position_feature(item: Mapping[str, Any]) -> Feature:
    """Return an `AssetPosition` or an `EmployeePosition` as a feature, without a geometry where
    there is no position.
    """
    position = item["position"]
    properties, point = {"name": item["name"]}, None
    if position is not None:
        point = {"type": "Point", "coordinates": [position["lon"], position["lat"]]}
        properties |= {name: position[name] for name in position if name not in ("lat", "lon")}
    return {"type": "Feature", "id": item["id"], "geometry": point, "properties": properties}


async def check_employees_shown(conn: Connection) -> None:
    """Raise Problem (403) where the organization does not show where its employees are."""
    if not await organizations.shows_employees(conn):
        raise Problem(
            403,
            "employees_not_shown",
            "The organization does not show its employees: an admin sets shows_employees.",
        )
