"""Assets with their last positions, as lists and the live map show them."""

from typing import Any
from uuid import UUID

from api.http.encoding import id_text, time_text
from db.history.last_positions import LastPosition


def asset_position(asset_id: UUID, name: str, position: LastPosition | None) -> dict[str, Any]:
    """Return an `AssetPosition`."""
    return {"id": id_text("ast", asset_id), "name": name, "position": position_item(position)}


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
