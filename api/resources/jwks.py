"""The public keys that access tokens verify with (RFC 7517), for programs that want to check one
themselves."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.context import ApiState
from api.http import fields
from api.http.encoding import ok
from api.request.route import PublicRoute

router = APIRouter(prefix="/.well-known", tags=["auth"], route_class=PublicRoute)


class PublicKey(BaseModel):
    """An Ed25519 key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: Annotated[
        str, fields.text(43, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "^[A-Za-z0-9_-]{43}$")
    ]
    kid: Annotated[str, fields.text(32, "ed25519-695", "^ed25519-[0-9]+$")]
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class PublicKeys(BaseModel):
    """A JSON Web Key Set."""

    keys: list[PublicKey] = Field(max_length=3)


@router.get("/jwks.json", operation_id="getPublicKeys", response_model=PublicKeys)
async def public_keys(request: Request) -> Response:
    """Return the keys that tokens verify with now."""
    state: ApiState = request.app.state.api
    response = ok(state.tokens.key_set())
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
