"""Claims of IMEIs by trackers: one of each, over all organizations."""

from collections.abc import Mapping

from api.http.problems import Fault, Problem
from api.request.access import Access
from db.listener import imei_claims


async def check_imeis(access: Access, imeis: Mapping[str, str | None]) -> None:
    """Raise Problem (409) with the places of IMEIs that another tracker has claimed, stored or
    before it in the request, which does not say whose it is. imeis: by place.

    The operator sees who was refused, so it is committed by itself.
    """
    wanted = [(place, imei) for place, imei in imeis.items() if imei is not None]
    if not wanted:
        return
    async with access.transaction() as conn:
        claimed = await imei_claims.refused(conn, [imei for _, imei in wanted])
    faults: list[Fault] = []
    for place, imei in wanted:
        if imei in claimed:
            faults.append(Fault("Another tracker has claimed this IMEI.", pointer=place))
        claimed.add(imei)
    if faults:
        detail = (
            "An IMEI has one tracker, in whichever organization: ask the operator if it is yours."
        )
        raise Problem(409, "imei_claimed", detail, faults=tuple(faults))
