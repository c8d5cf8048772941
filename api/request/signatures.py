"""Drawn signatures in requests, decoded before they are stored (`operations.signatures`)."""

from uuid import UUID

from api.context import ApiState
from api.limits.turns import refusing_when_full
from api.photos.copier import PhotoError
from operations.signatures import SignatureError, read_signature


async def decoded_signature(state: ApiState, org_id: UUID, text: str) -> bytes:
    """Return the PNG in a text of base64, on which something is to be seen. Raises SignatureError;
    Problem (429, 503) where too many images are decoded at once.
    """
    png = read_signature(text)
    try:
        with refusing_when_full("images"):
            await state.photos.check_signature(org_id, png)
    except PhotoError as error:
        raise SignatureError(str(error)) from None
    return png
