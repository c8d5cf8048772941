"""Forms of OAuth 2.0 (RFC 6749, sections 4.3 and 6) for the routes that give tokens.

Tools that read the OpenAPI document, the page `/docs` among them, send forms where programs send
JSON. A form becomes the same body; `client_id`, in the form or by Basic authentication, is the
organization where there is one. As the RFC has it, other parameters are ignored.
"""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from api.http.headers import authorization, media_type
from api.http.problems import Fault, Problem
from api.request.route import PublicRoute

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MAX_PARAMETERS = 20


class FormOrJsonRoute(PublicRoute):
    """A route that takes a form of OAuth 2.0 as well as JSON."""

    def decode(self, request: Request, content: bytes) -> object:
        """Return the body. Raises Problem (400, 415)."""
        if media_type(request.headers) != _MEDIA_TYPE:
            return super().decode(request, content)
        try:
            pairs = parse_qsl(content.decode(), max_num_fields=_MAX_PARAMETERS, errors="strict")
        except ValueError:
            detail = f"The form must be UTF-8 and have up to {_MAX_PARAMETERS} parameters."
            raise Problem(400, "invalid_form", detail) from None
        return _body(dict(pairs), _basic_client(request))


def _body(form: dict[str, str], client_id: str) -> dict[str, str]:
    """Return what JSON would say. An empty parameter counts as one that is left out."""
    match form.get("grant_type"):
        case "password":
            names = {"username": "email", "password": "password"}
        case "refresh_token":
            return {name: form[name] for name in ("refresh_token",) if name in form}
        case _:
            fault = Fault("must be password or refresh_token", parameter="grant_type")
            detail = "The grant_type of the form must be password or refresh_token."
            raise Problem(400, "unsupported_grant_type", detail, faults=(fault,))
    body = {name: form[given] for given, name in names.items() if given in form}
    org_id = form.get("client_id") or client_id
    return body | ({"organization_id": org_id} if org_id else {})


def _basic_client(request: Request) -> str:
    """Return the user name of Basic authentication (RFC 6749, section 2.3.1), or nothing."""
    scheme, text = authorization(request.headers)
    if scheme != "basic":
        return ""
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return unquote_plus(decoded.partition(":")[0])
