-- Reports that are mailed when a day, a week or a month is over (docs/decisions/0054-reports-by-mail.md). filters: those
-- of the report, as they stand in the query of its URL. local_time, time_zone: when, and whose days.
CREATE TABLE report_schedules (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    report text NOT NULL CHECK (report IN (
        'day', 'trips', 'stops', 'visits', 'distance', 'utilization', 'presence')),
    filters jsonb NOT NULL CHECK (jsonb_typeof(filters) = 'object' AND octet_length(filters::text) <= 2000),
    cadence text NOT NULL CHECK (cadence IN ('daily', 'weekly', 'monthly')),
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    month_day smallint NOT NULL CHECK (month_day BETWEEN 1 AND 31),
    local_time text COLLATE "C" NOT NULL CHECK (local_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
    time_zone text NOT NULL CHECK (length(time_zone) <= 64),
    recipient_ids uuid[] NOT NULL CHECK (cardinality(recipient_ids) BETWEEN 1 AND 20),
    enabled boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX report_schedules_newest ON report_schedules (org_id, created_at DESC, id DESC);
SELECT make_resource('report_schedules', audited_as => 'report_schedule', counted => true);
GRANT SELECT, INSERT, UPDATE, DELETE ON report_schedules TO opsc_app;
GRANT SELECT ON report_schedules TO opsc_deliver;

-- What becomes of a schedule. next_run_at: NULL where it is switched off. period_from, period_to: the last one that was
-- mailed. left_out: recipients that got none of it. last_error: NULL once it went well.
CREATE TABLE report_schedule_runs (
    org_id uuid NOT NULL,
    schedule_id uuid NOT NULL,
    next_run_at timestamptz,
    last_run_at timestamptz,
    period_from date,
    period_to date,
    left_out uuid[] NOT NULL DEFAULT '{}',
    last_error text CHECK (length(last_error) <= 500),
    PRIMARY KEY (org_id, schedule_id),
    FOREIGN KEY (org_id, schedule_id) REFERENCES report_schedules (org_id, id) ON DELETE CASCADE
);
CREATE INDEX report_schedule_runs_due ON report_schedule_runs (next_run_at) WHERE next_run_at IS NOT NULL;
SELECT make_tenant_table('report_schedule_runs');
GRANT SELECT, INSERT, UPDATE ON report_schedule_runs TO opsc_app;
GRANT SELECT (org_id, schedule_id, next_run_at), UPDATE (last_error) ON report_schedule_runs TO opsc_deliver;

-- The letter that brings the link to a report.
ALTER TABLE mail_outbox
    DROP CONSTRAINT mail_outbox_purpose_check,
    ADD CONSTRAINT mail_outbox_purpose_check CHECK (purpose IN (
        'invitation', 'password_reset', 'quote', 'acceptance', 'acceptance_notice', 'endpoint_disabled', 'report')),
    ADD COLUMN schedule_id uuid,
    ADD COLUMN period_from date,
    ADD COLUMN period_to date,
    ADD CONSTRAINT mail_outbox_report CHECK (
        num_nonnulls(schedule_id, period_from, period_to) = CASE purpose WHEN 'report' THEN 3 ELSE 0 END);

-- Days of an organization that the last pass could not move into the archive: how many, and the newest of them.
CREATE TABLE archive_failures (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    days integer NOT NULL CHECK (days > 0),
    day date NOT NULL,
    failed_at timestamptz NOT NULL
);
SELECT make_tenant_table('archive_failures');
GRANT SELECT ON archive_failures TO opsc_app;
GRANT SELECT, INSERT, DELETE ON archive_failures TO opsc_deliver;
