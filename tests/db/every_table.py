"""An organization with a row in every table that has `org_id`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from db.core.ids import new_id
from db.resources.kinds import KINDS
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant, square
from tests.servers import DatabaseUnderTest

EVERY_TABLE = (
    "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'org_id'"
)

QUOTE_LINES = (
    '[{"description": "x", "quantity_thousandths": 1000, "unit_price_cents": 0,'
    ' "discount_basis_points": 0, "tax_basis_points": 0}]'
)
_SECTIONS = Jsonb(
    [
        {
            "title": "x",
            "questions": [
                {"id": "brakes", "type": "pass_fail", "label": "x"},
                {"id": "photo", "type": "photo", "label": "x"},
            ],
        }
    ]
)
_DEFECTS = Jsonb([{"question_id": "brakes", "label": "x", "note": None}])
NOW = datetime(2026, 1, 1, tzinfo=UTC)
# Columns of `visits` up to version 0.9.0, and what migration 0001 calls them.
RENAMED: Mapping[str, str] = {
    "opening_time": "first_fix_time",
    "opening_seq": "first_fix_seq",
    "opening_change": "change_time",
    "opening_again": "again",
    "exit_told": "exit_announced",
    "dwell_told": "dwell_announced",
    "overspeed_told": "overspeed_announced",
}

ADDED = {
    "asset_backlogs": {"flags"},
    "device_connections": {"takes_commands"},
    "device_sessions": {"command_topic"},
    "events": {"for_webhooks"},
    "gateways": {"mapping", "auto_register"},
    "inbox": {"fix_flags"},
    "mail_outbox": {"schedule_id", "period_from", "period_to"},
    "organizations": {"trip_events_since"},
    "trackers": {"registered_by"},
}
"""The columns that migrations have added to tables, by table."""


async def make_tenant(database: DatabaseUnderTest, *, before_0001: bool = False) -> UUID:
    """Return the organization. before_0001: the database has the columns of version 0.9.0."""
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(13.4, 52.5))
    with psycopg.connect(database.url("admin")) as conn:
        if not before_0001:
            conn.execute(
                "INSERT INTO unknown_devices (org_id, id, tracker_id, reason, protocol, seen,"
                " first_seen_at, last_seen_at) VALUES (%s, %s, %s, 'revoked', 'mqtt', 1, %s, %s)",
                (tenant.org_id, new_id(), vehicle.tracker_id, NOW, NOW),
            )
        _fill(conn, tenant.org_id, vehicle.tracker_id, vehicle.asset_id, zone_id)
        if not before_0001:
            _fill_jobs(conn, tenant.org_id)
            conn.execute(
                "INSERT INTO commands (org_id, id, tracker_id, text, repeatable, created_by,"
                " created_at, expires_at)"
                " SELECT org_id, %s, %s, 'x', false, id, %s, %s FROM users WHERE org_id = %s"
                "  LIMIT 1",
                (new_id(), vehicle.tracker_id, NOW, NOW, tenant.org_id),
            )
        columns = ", ".join(RENAMED if before_0001 else RENAMED.values())
        conn.execute(
            "INSERT INTO visits (org_id, id, asset_id, zone_id, zone_version, tracker_id,"
            f" entered_at, entry_lat, entry_lon, entry_cause, {columns})"
            " VALUES (%s, %s, %s, %s, 1, %s, %s, 1, 1, 'zone_changed',"
            " %s, 7, %s, 2, true, false, false)".encode(),
            (
                *(tenant.org_id, new_id(), vehicle.asset_id, zone_id, vehicle.tracker_id, NOW),
                *(NOW - timedelta(minutes=1), NOW),
            ),
        )
        if not before_0001:
            conn.execute(
                "INSERT INTO imei_claims (org_id, tracker_id, imei, claimed_at)"
                " VALUES (%s, %s, %s, now())",
                (tenant.org_id, vehicle.tracker_id, f"{tenant.org_id.int % 10**15:015}"),
            )
            conn.execute(
                "INSERT INTO tracker_encryption_keys VALUES (%s, %s, 'x')",
                (tenant.org_id, vehicle.tracker_id),
            )
            conn.execute(
                "INSERT INTO fix_hours VALUES (%s, %s, %s, 1, 52.5, 13.4, 52.5, 13.4)",
                (tenant.org_id, vehicle.tracker_id, NOW),
            )
            conn.execute(
                "INSERT INTO fix_hours_changed (org_id, tracker_id, hour) VALUES (%s, %s, %s)",
                (tenant.org_id, vehicle.tracker_id, NOW),
            )
            conn.execute(
                "INSERT INTO gateway_sightings SELECT org_id, id, %s FROM gateways"
                " WHERE org_id = %s",
                (NOW, tenant.org_id),
            )
            conn.execute(
                "INSERT INTO archived_days VALUES (%s, %s, %s, 1, 1, sha256('x'), sha256('x'))",
                (tenant.org_id, NOW.date(), new_id()),
            )
            conn.execute(
                "INSERT INTO archived_trackers VALUES (%s, %s, %s, 1, now(), now(), 1, 1, 1, 1)",
                (tenant.org_id, vehicle.tracker_id, NOW.date()),
            )
            conn.execute(
                "INSERT INTO archive_failures VALUES (%s, 1, %s, now())",
                (tenant.org_id, NOW.date()),
            )
            schedule_id = new_id()
            conn.execute(
                "INSERT INTO report_schedules (org_id, id, name, report, filters, cadence, weekday,"
                " month_day, local_time, time_zone, recipient_ids, enabled, created_at, updated_at)"
                " VALUES (%s, %s, 'x', 'day', '{}', 'daily', 1, 1, '06:00', 'UTC', %s, true, now(),"
                " now())",
                (tenant.org_id, schedule_id, [new_id()]),
            )
            conn.execute(
                "INSERT INTO report_schedule_runs (org_id, schedule_id) VALUES (%s, %s)",
                (tenant.org_id, schedule_id),
            )
            conn.execute(
                "INSERT INTO trips_due (org_id, asset_id, day, since, until, due_at)"
                " VALUES (%s, %s, %s, now(), now(), now())",
                (tenant.org_id, vehicle.asset_id, NOW.date()),
            )
            conn.execute(
                "INSERT INTO told_trips (org_id, id, asset_id, is_stop, revision, started_at,"
                " is_retracted) VALUES (%s, %s, %s, true, 1, now(), false)",
                (tenant.org_id, new_id(), vehicle.asset_id),
            )
            conn.execute(
                "INSERT INTO failing_work (kind, key, org_id, tries, error, retry_at)"
                " VALUES ('letter', %s, %s, 1, 'x', 'infinity')",
                (str(new_id()), tenant.org_id),
            )
            conn.execute(
                "INSERT INTO refused_imei_claims VALUES (%s, '356938035643809', now())",
                (tenant.org_id,),
            )
    return tenant.org_id


def _fill_jobs(conn: psycopg.Connection, org_id: UUID) -> None:
    job_id = new_id()
    conn.execute(
        "INSERT INTO jobs (org_id, id, kind, created_by, via, credential_id, request_id,"
        " expires_at, employee_id)"
        " SELECT %s, %s, 'import_assets', id, 'token', %s, 'x', now(),"
        "        (SELECT id FROM employees WHERE org_id = %s LIMIT 1)"
        "   FROM users WHERE org_id = %s LIMIT 1",
        (org_id, job_id, new_id(), org_id, org_id),
    )
    conn.execute("INSERT INTO job_inputs VALUES (%s, %s, 'x')", (org_id, job_id))


def _fill(
    conn: psycopg.Connection, org_id: UUID, tracker_id: UUID, asset_id: UUID, zone_id: UUID
) -> None:
    event_id, endpoint_id = new_id(), new_id()
    conn.execute("INSERT INTO asset_state VALUES (%s, %s, 'x')", (org_id, asset_id))
    conn.execute("INSERT INTO asset_checkpoints VALUES (%s, %s, now(), 0, 'x')", (org_id, asset_id))
    conn.execute("INSERT INTO asset_cuts VALUES (%s, %s, now())", (org_id, asset_id))
    conn.execute("INSERT INTO latest_positions VALUES (%s, %s)", (org_id, asset_id))
    conn.execute(
        "INSERT INTO asset_backlogs (org_id, asset_id, time, seq, state, revision)"
        " VALUES (%s, %s, now(), 0, 'x', 0)",
        (org_id, asset_id),
    )
    conn.execute(
        "INSERT INTO device_sessions VALUES (%s, %s, 'x', false, now())", (org_id, tracker_id)
    )
    conn.execute(
        "INSERT INTO device_connections VALUES (%s, %s, NULL, '::1', 5, now())",
        (org_id, tracker_id),
    )
    for day in range(3):
        conn.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " VALUES (%s, %s, %s, 0, now(), 52.5, 13.4)",
            (org_id, tracker_id, NOW + timedelta(days=day)),
        )
    conn.execute(
        "INSERT INTO events (org_id, id, type, occurred_at, data, seq)"
        " VALUES (%s, %s, 'asset.geofence_breach', %s, '{}', 1)",
        (org_id, event_id, NOW),
    )
    conn.execute(
        "INSERT INTO alerts (org_id, id, asset_id, asset_name, zone_id, zone_name, zone_kind,"
        " occurred_at, lat, lon, told)"
        " VALUES (%s, %s, %s, 'x', %s, 'x', 'restricted', %s, 1, 1, '{enter}')",
        (org_id, event_id, asset_id, zone_id, NOW),
    )
    conn.execute("INSERT INTO organization_quotas VALUES (%s, 'assets', 7)", (org_id,))
    conn.execute(
        "INSERT INTO event_subjects (org_id, subject, seq) VALUES (%s, %s, 1)",
        (org_id, format_id("ast", asset_id)),
    )
    conn.execute(
        "INSERT INTO webhook_endpoints (org_id, id, url, types, secret_encrypted)"
        " VALUES (%s, %s, 'https://example.com', '{*}', 'x')",
        (org_id, endpoint_id),
    )
    conn.execute(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq)"
        " VALUES (%s, %s, %s, 1)",
        (org_id, endpoint_id, event_id),
    )
    conn.execute(
        "INSERT INTO webhook_attempts (org_id, delivery_id, attempted_at) VALUES (%s, %s, %s)",
        (org_id, new_id(), NOW),
    )
    conn.execute(
        "INSERT INTO webhook_endpoint_hours VALUES (%s, %s, %s, 1, 1, array_fill(0, '{49}'))",
        (org_id, endpoint_id, NOW),
    )
    conn.execute(
        "INSERT INTO webhook_failures (org_id, endpoint_id) VALUES (%s, %s)", (org_id, endpoint_id)
    )
    conn.execute(
        "INSERT INTO quarantine (org_id, id, digest, topic, reason, detail, positions,"
        " payload_bytes,"
        " payload_sha256, first_received_at, last_received_at)"
        " VALUES (%s, %s, sha256(%s), 't', 'rate', '', '{}', 1, 'x', now(), now())",
        (org_id, new_id(), org_id.bytes),
    )
    conn.execute(
        "INSERT INTO idempotency_keys (org_id, operation, key, fingerprint, answer_encrypted,"
        " expires_at) VALUES (%s, 'createAsset', 'k', sha256('x'), 'x', now())",
        (org_id,),
    )
    client_id, site_id, attachment_id = new_id(), new_id(), new_id()
    conn.execute("INSERT INTO clients (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, client_id))
    conn.execute(
        "INSERT INTO sites (org_id, id, client_id, zone_id, name) VALUES (%s, %s, %s, %s, 'x')",
        (org_id, site_id, client_id, zone_id),
    )
    employee_id = new_id()
    conn.execute(
        "INSERT INTO employees (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, employee_id)
    )
    conn.execute("INSERT INTO latest_employee_positions VALUES (%s, %s)", (org_id, employee_id))
    punch_id = new_id()
    conn.execute(
        "INSERT INTO punches (org_id, id, employee_id, kind, claimed_at, received_at, verdict,"
        " reasons, pay_time, pay_time_source)"
        " VALUES (%s, %s, %s, 'in', now(), now(), 'verified', '[]', now(), 'claimed')",
        (org_id, punch_id, employee_id),
    )
    conn.execute(
        "INSERT INTO punch_verdicts (org_id, punch_id, revision, cause, verdict, reasons)"
        " VALUES (%s, %s, 1, 'late_fix', 'failed', '[]')",
        (org_id, punch_id),
    )
    conn.execute(
        "INSERT INTO punch_evidence (org_id, punch_id, employee_id, fix_time, nearest_s)"
        " VALUES (%s, %s, %s, now(), 0)",
        (org_id, punch_id, employee_id),
    )
    conn.execute("INSERT INTO jobsite_corrections (org_id, next_at) VALUES (%s, now())", (org_id,))
    conn.execute(
        "INSERT INTO shifts (org_id, id, employee_id, opened_by, started_at, break_s, worked_s,"
        " verdicts, flags, lapses_at, lapsed)"
        " VALUES (%s, %s, %s, %s, now(), 0, 0, '{}', '[]', now(), '{}')",
        (org_id, new_id(), employee_id, punch_id),
    )
    order_id = new_id()
    conn.execute(
        "INSERT INTO work_orders (org_id, id, number, title, priority, state)"
        " VALUES (%s, %s, 1, 'x', 'normal', 'created')",
        (org_id, order_id),
    )
    conn.execute(
        "INSERT INTO work_order_assignees VALUES (%s, %s, %s)", (org_id, order_id, employee_id)
    )
    conn.execute("INSERT INTO work_order_assets VALUES (%s, %s, %s)", (org_id, order_id, asset_id))
    timesheet_id = new_id()
    conn.execute(
        "INSERT INTO timesheets (org_id, id, employee_id, first_day, last_day)"
        " VALUES (%s, %s, %s, '2026-03-02', '2026-03-08')",
        (org_id, timesheet_id, employee_id),
    )
    conn.execute(
        "INSERT INTO gateways (org_id, id, name, kind, secret_hash)"
        " VALUES (%s, %s, 'x', 'tts', sha256('x'))",
        (org_id, new_id()),
    )
    conn.execute(
        "INSERT INTO organization_logos VALUES (%s, 'image/png', 1, 1, 'x', 'x')", (org_id,)
    )
    part_id, warehouse_id = new_id(), new_id()
    conn.execute(
        "INSERT INTO parts (org_id, id, number, name, unit, currency, fits)"
        " VALUES (%s, %s, 'x', 'x', 'piece', 'EUR', '[{\"model\": \"x\"}]')",
        (org_id, part_id),
    )
    conn.execute(
        "INSERT INTO warehouses (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, warehouse_id)
    )
    # The trigger of movements changes the level of the tenant.
    conn.execute("SELECT set_config('app.org_id', %s, false)", (str(org_id),))
    for table, more in (
        ("inventory", ""),
        ("stock_movements", ", kind, quantity_milli, on_hand_change_milli, reserved_change_milli"),
    ):
        conn.execute(
            f"INSERT INTO {table} (org_id, id, part_id, warehouse_id{more})"
            f" VALUES (%s, %s, %s, %s{', %s, 1, 1, 0' if more else ''})",
            (org_id, new_id(), part_id, warehouse_id, *(["adjust"] if more else [])),
        )
    conn.execute(
        "INSERT INTO stock_lots (org_id, id, part_id, warehouse_id, lot, is_serial, on_hand_milli,"
        " created_at, updated_at) VALUES (%s, %s, %s, %s, 'x', false, 0, now(), now())",
        (org_id, new_id(), part_id, warehouse_id),
    )
    conn.execute(
        "INSERT INTO stock_movement_serials SELECT org_id, 'x', id FROM stock_movements"
        " WHERE org_id = %s",
        (org_id,),
    )
    conn.execute(
        "INSERT INTO attachments (org_id, id, site_id, file_name, media_type, size_bytes, sha256,"
        " created_by) VALUES (%s, %s, %s, 'x', 'image/png', 1, sha256('x'), %s)",
        (org_id, attachment_id, site_id, new_id()),
    )
    conn.execute("INSERT INTO attachment_pieces VALUES (%s, %s, 0, 'x')", (org_id, attachment_id))
    conn.execute(
        "INSERT INTO photo_copies VALUES (%s, %s, 'thumb', 'image/png', 1, 1, sha256('x'), 'x')",
        (org_id, attachment_id),
    )
    quote_id = new_id()
    conn.execute(
        "INSERT INTO quotes (org_id, id, number, revision, client_id, title, lines, currency,"
        " valid_until, subtotal_cents, discount_cents, tax_cents, total_cents)"
        " VALUES (%s, %s, 1, 1, %s, 'x', %s, 'CHF', '2099-01-01', 0, 0, 0, 0)",
        (org_id, quote_id, client_id, QUOTE_LINES),
    )
    conn.execute("INSERT INTO quote_documents VALUES (%s, %s, 'x', 'x')", (org_id, quote_id))
    conn.execute("SET LOCAL session_replication_role = replica")  # it is no real evidence
    conn.execute(
        "INSERT INTO quote_evidence VALUES (%s, %s, 1, 'x', sha256('x'))", (org_id, quote_id)
    )
    conn.execute("SET LOCAL session_replication_role = origin")
    conn.execute(
        "INSERT INTO quote_links (org_id, token_hash, quote_id)"
        " VALUES (%(org_id)s, sha256(uuid_send(%(id)s)), %(id)s)",
        {"org_id": org_id, "id": quote_id},
    )
    conn.execute("INSERT INTO number_counters VALUES (%s, 'quote', 1)", (org_id,))
    conn.execute("INSERT INTO attachment_usage VALUES (%s, 1, 1)", (org_id,))
    conn.execute("INSERT INTO letter_counts VALUES (%s, '2026-03-02', 1)", (org_id,))
    conn.execute("INSERT INTO request_minutes (org_id) VALUES (%s)", (org_id,))
    conn.execute("INSERT INTO request_usage VALUES (%s, now(), 1, 1)", (org_id,))
    _fill_identity(conn, org_id)
    conn.execute(
        "INSERT INTO timesheet_adjustments (org_id, id, timesheet_id, day, seconds, reason,"
        " created_by) SELECT org_id, %s, %s, '2026-03-02', 60, 'x', id FROM users"
        " WHERE org_id = %s LIMIT 1",
        (new_id(), timesheet_id, org_id),
    )
    for columns, values in (
        ("work_order_comments (org_id, id, work_order_id, user_id, text)", "'x'"),
        (
            "work_order_transitions (org_id, id, work_order_id, user_id, verb, state)",
            "'create', 'created'",
        ),
    ):
        conn.execute(
            f"INSERT INTO {columns} SELECT org_id, %s, %s, id, {values} FROM users"
            " WHERE org_id = %s LIMIT 1",
            (new_id(), order_id, org_id),
        )
    conn.execute(
        "INSERT INTO work_order_parts (org_id, id, work_order_id, part_id, planned_milli)"
        " SELECT org_id, %s, %s, id, 1 FROM parts WHERE org_id = %s LIMIT 1",
        (new_id(), order_id, org_id),
    )
    _fill_inspections(conn, org_id, attachment_id, order_id)
    conn.execute("INSERT INTO inbox (org_id, topic, payload) VALUES (%s, 't', 'x')", (org_id,))
    stored = {table for (table,) in conn.execute(EVERY_TABLE)}
    own = {"jobs", "commands", "report_schedules"}
    for table in stored & {kind.table for kind in KINDS.values()} - own:
        if conn.execute(f"SELECT FROM {table} WHERE org_id = %s", (org_id,)).fetchone() is None:
            conn.execute(
                f"INSERT INTO {table} (org_id, id, name) VALUES (%s, %s, 'x')", (org_id, new_id())
            )


def _fill_inspections(
    conn: psycopg.Connection, org_id: UUID, attachment_id: UUID, order_id: UUID
) -> None:
    """Fill the tables of inspections. A form of a work order has a photo, and a defect that another
    order mends.
    """
    template_id, form_id = new_id(), new_id()
    photo_id = format_id("att", attachment_id)
    answers = {"brakes": {"value": "fail"}, "photo": {"value": [photo_id]}}
    conn.execute(
        "INSERT INTO inspection_templates (org_id, id, name, version) VALUES (%s, %s, 'x', 1)",
        (org_id, template_id),
    )
    conn.execute(
        "INSERT INTO inspection_template_versions (org_id, template_id, version, name, sections,"
        " questions, created_by) SELECT org_id, %s, 1, 'x', %s, 2, id FROM users"
        " WHERE org_id = %s LIMIT 1",
        (template_id, _SECTIONS, org_id),
    )
    conn.execute(
        "INSERT INTO inspection_forms (org_id, id, template_id, template_version, work_order_id,"
        " state, answers, defects, created_by)"
        " SELECT org_id, %s, %s, 1, %s, 'draft', %s, %s, id FROM users WHERE org_id = %s LIMIT 1",
        (form_id, template_id, order_id, Jsonb(answers), _DEFECTS, org_id),
    )
    conn.execute(
        "UPDATE inspection_forms SET state = 'submitted', submitted_by = created_by,"
        " submitted_at = now() WHERE id = %s",
        (form_id,),
    )
    conn.execute(
        "INSERT INTO work_orders (org_id, id, number, title, priority, state, inspection_form_id,"
        " question_id) VALUES (%s, %s, 2, 'x', 'normal', 'created', %s, 'brakes')",
        (org_id, new_id(), form_id),
    )
    conn.execute(
        "INSERT INTO inspection_photos VALUES (%s, %s, %s)", (org_id, form_id, attachment_id)
    )


def _fill_identity(conn: psycopg.Connection, org_id: UUID) -> None:
    user_id, sign_in_id = new_id(), new_id()
    conn.execute(
        "INSERT INTO users (org_id, id, email, role) VALUES (%s, %s, 'x@example.com', 'admin')",
        (org_id, user_id),
    )
    conn.execute(
        "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
        " VALUES (%s, %s, %s, 'token', now() + interval '1 day')",
        (org_id, sign_in_id, user_id),
    )
    conn.execute(
        "INSERT INTO refresh_tokens (org_id, token_hash, sign_in_id, expires_at)"
        " VALUES (%s, sha256(%s), %s, now() + interval '1 day')",
        (org_id, org_id.bytes, sign_in_id),
    )
    conn.execute(
        "INSERT INTO api_keys (org_id, id, user_id, name, secret_hash, last4)"
        " VALUES (%s, %s, %s, 'x', sha256(%s), 'abcd')",
        (org_id, new_id(), user_id, org_id.bytes),
    )
    conn.execute(
        "INSERT INTO user_links (org_id, token_hash, user_id, purpose, expires_at)"
        " VALUES (%s, sha256(%s), %s, 'invitation', now() + interval '1 day')",
        (org_id, org_id.bytes, user_id),
    )
    conn.execute(
        "INSERT INTO mail_outbox (org_id, id, purpose, email)"
        " VALUES (%s, %s, 'invitation', 'x@example.com')",
        (org_id, new_id()),
    )
