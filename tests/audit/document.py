"""The OpenAPI document without a server: `python -m tests.audit.document > openapi.json`."""

import base64
import json
from typing import Any

from api.app import create_app
from api.settings import ApiSettings
from db.core.connect import pool

_NOWHERE = "postgresql://opsc_app@127.0.0.1/opsc"


def document() -> dict[str, Any]:
    """Return the document as `/openapi.json` has it. Nothing is connected to."""
    key = base64.urlsafe_b64encode(bytes(32)).decode("ascii")
    settings = ApiSettings.model_validate({"database_url": _NOWHERE, "secret_key": key})
    return create_app(settings, pool(_NOWHERE, "document", max_size=1)).openapi()


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))
