"""`data` of events of work orders."""

from typing import Annotated

from msgspec import Meta, Struct

from geofence.event_data.fields import id_field, name_field, time_field, word_field
from operations.work_orders.states import PRIORITIES, STATES, VERBS

WORK_ORDER_CREATED = "work_order.created"
WORK_ORDER_ASSIGNED = "work_order.assigned"
WORK_ORDER_STARTED = "work_order.started"
WORK_ORDER_COMPLETED = "work_order.completed"
WORK_ORDER_UPDATED = "work_order.updated"
WORK_ORDER_CANCELLED = "work_order.cancelled"


def _list(description: str, example: str) -> Meta:
    return Meta(description=description, max_length=100, examples=[[example]])


class ChangedWorkOrder(Struct):
    """A work order as it is since somebody made, moved or changed it."""

    work_order_id: Annotated[str, id_field("wo", "the work order")]
    number: Annotated[int, Meta(description="its number", ge=1, le=2**31 - 1, examples=[48])]
    title: Annotated[str, name_field("its title", "Replace the crane's cable")]
    status: Annotated[str, word_field("its status now", STATES, "assigned")]
    verb: (
        Annotated[str, word_field("what led to the status; null: none did", VERBS, "assign")] | None
    )
    changed: Annotated[
        list[Annotated[str, Meta(max_length=50, examples=["due_at"])]],
        _list("the fields that were changed beside it", "due_at"),
    ]
    priority: Annotated[str, word_field("its priority", PRIORITIES, "high")]
    client_id: Annotated[str, id_field("cli", "the client; null: none")] | None
    site_id: Annotated[str, id_field("sit", "the site; null: none")] | None
    parent_id: (
        Annotated[str, id_field("wo", "the work order that it is a part of; null: none")] | None
    )
    assignee_ids: Annotated[
        list[Annotated[str, id_field("emp", "an employee")]],
        _list("the employees", "emp_01jd8x0k2m4n6p8q0r2s4t6v8w"),
    ]
    asset_ids: Annotated[
        list[Annotated[str, id_field("ast", "an asset")]],
        _list("the assets", "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"),
    ]
    planned_start: Annotated[str, time_field("null: not planned", "2026-03-02T07:00:00Z")] | None
    planned_end: Annotated[str, time_field("null: not planned", "2026-03-02T15:00:00Z")] | None
    due_at: Annotated[str, time_field("null: at no time", "2026-03-03T15:00:00Z")] | None
    deleted_at: Annotated[str, time_field("null: it is there", "2026-03-04T09:00:00Z")] | None
    user_id: Annotated[str, id_field("usr", "the user who did it")]
    lat: (
        Annotated[
            float,
            Meta(description="where they were; null: not given", ge=-90, le=90, examples=[47.05]),
        ]
        | None
    )
    lon: Annotated[float, Meta(description="the same", ge=-180, le=180, examples=[8.3093])] | None
    reason: (
        Annotated[
            str,
            Meta(
                description="why it is on hold, cancelled or cannot be completed",
                max_length=1000,
                examples=["The part is missing."],
            ),
        ]
        | None
    )
    signer_name: Annotated[str, name_field("who signed a completion", "Peter Frei")] | None
