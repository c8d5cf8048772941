"""Answers as GeoJSON (RFC 7946) for those who accept it: maps read them as they are.

Everybody else gets JSON. Of several accepted types the one of the highest quality counts, and JSON
where they are equal.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.http.encoding import ok, ok_list
from api.http.etags import tag_of
from api.http.headers import preferred
from api.request.paging import Envelope

MEDIA_TYPE = "application/geo+json"
_COLLECTION = b'{"type":"FeatureCollection","features":['

Feature = Mapping[str, Any]
ToFeature = Callable[[Mapping[str, Any]], Feature]

_BOUNDS = {"type": "object", "additionalProperties": True}


def documented(kind: str) -> dict[int | str, dict[str, Any]]:
    """Describe GeoJSON for `responses=` of a route: `kind` is Feature or FeatureCollection."""
    example: dict[str, Any] = {"type": kind}
    if kind == "FeatureCollection":
        example |= {"features": [], "total": 0, "next_cursor": None}
    else:
        point = {"type": "Point", "coordinates": [8.3093, 47.0502]}
        example |= {"id": "zon_01jd8x0k2m4n6p8q0r2s4t6v8w", "geometry": point, "properties": {}}
    content = {"schema": _BOUNDS | {"description": f"a GeoJSON {kind}"}, "example": example}
    return {200: {"content": {MEDIA_TYPE: content}}}


def prefers_geojson(request: Request) -> bool:
    """Return whether GeoJSON is accepted, and more than JSON is."""
    accept = ",".join(request.headers.getlist("accept"))
    return preferred(accept, ("application/json", MEDIA_TYPE)) == MEDIA_TYPE


def shown(request: Request, item: Mapping[str, Any], feature: ToFeature) -> Response:
    """Return one thing: 200 with the item, or with its feature."""
    if prefers_geojson(request):
        return _varying(_geojson(feature(item)))
    return _varying(ok(item))


async def listed(request: Request, envelope: Envelope, feature: ToFeature) -> Response:
    """Return a page: 200 with the envelope, or a FeatureCollection with its other
    members beside.
    """
    if not prefers_geojson(request):
        return _varying(await envelope.answer(request.query_params.get("fields")))
    features = map(feature, envelope.rows)
    return _varying(await ok_list(features, envelope.others, _COLLECTION, MEDIA_TYPE))


def _geojson(content: object) -> Response:
    encoded = msgspec.json.encode(content)
    return Response(encoded, headers={"ETag": tag_of(encoded)}, media_type=MEDIA_TYPE)


def _varying(response: Response) -> Response:
    response.headers["Vary"] = "Accept"
    return response
