"""The work orders that mend the defects of inspection forms."""

from typing import Any
from uuid import UUID

from api.http.encoding import id_text
from api.http.problems import Problem, bad_field
from api.request.access import Access
from api.resources.inspections.form_bodies import DefectRepair
from api.resources.sites import sites
from api.resources.work_orders.creation import insert_order
from db.core.connect import Connection
from db.resources import work_orders
from db.resources.inspection_forms import Inspection
from db.resources.kinds import KINDS
from db.resources.quotas import check_room
from db.resources.work_orders import WorkOrder
from operations.inspections.states import check_repairable


async def order_repair(
    conn: Connection, access: Access, row: Inspection, body: DefectRepair
) -> WorkOrder:
    """Make the order that mends a defect of a form. Raises Problem (409, 422), IllegalMoveError."""
    check_repairable(row.state)
    defect = next((each for each in row.defects if each["question_id"] == body.question_id), None)
    if defect is None:
        raise bad_field("/question_id", "must be a question that was answered `fail`")
    made = await work_orders.order_of_defect(conn, row.id, body.question_id)
    if made is not None:
        detail = "A work order was made of the defect already."
        raise Problem(409, "repair_ordered", detail, more={"work_order_id": id_text("wo", made)})
    label: str = defect["label"]
    columns = {
        "title": body.title or label[:200],
        "description": defect["note"],
        "priority": body.priority,
        "assignee_ids": sorted(set(body.assignee_ids)),
        "due_at": body.due_at,
        "inspection_form_id": row.id,
        "question_id": body.question_id,
    }
    columns |= await _place(conn, row)
    at = await check_room(conn, "work_orders")
    return await insert_order(conn, access, columns, at)


async def _place(conn: Connection, row: Inspection) -> dict[str, Any]:
    """Return client, site and assets of a repair; things that are deleted since are left out. The
    client of the site goes before that of the order during which the form was filled in.
    """
    order_id = row.work_order_id
    order = None if order_id is None else await work_orders.work_orders.find(conn, order_id)
    site_id = await _live(conn, "site", row.site_id or (order and order.site_id))
    site = None if site_id is None else await sites.get(conn, site_id)
    client_id = (site and site.client_id) or (order and order.client_id)
    return {
        "client_id": await _live(conn, "client", client_id),
        "site_id": site_id,
        "asset_ids": [each for each in [await _live(conn, "asset", row.asset_id)] if each],
    }


async def _live(conn: Connection, kind: str, row_id: UUID | None) -> UUID | None:
    """Return the id of a thing that is there and stays until the transaction ends."""
    if row_id is None or not await KINDS[kind].lock_existing(conn, [row_id]):
        return None
    return row_id
