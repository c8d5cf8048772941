"""Breaches, as ingest writes them."""

from typing import Any

from tests.api.live.reading import emit
from tests.api.running import Organization, RunningApi


def breach(api: RunningApi, org: Organization, asset_name: str, **data: Any) -> None:
    """Commit a breach of an asset, with its seq."""
    facts = {
        "asset_id": "ast_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "asset_name": asset_name,
        "zone_id": "zon_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "zone_name": "Quarry",
        "zone_kind": "restricted",
        "transition": "enter",
        "occurred_at": "2026-03-01T12:00:00Z",
        "accuracy_m": 4.0,
        "inferred": None,
        "late": False,
        "cause": "moved",
    }
    emit(api, org, **(facts | data))
