-- The erasure of somebody's positions is a job, of which deliver removes the fixes as itself
-- (docs/decisions/0055-erasure-of-positions.md).
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('import_assets', 'import_trackers', 'upload_track', 'erase_positions'));
ALTER TABLE jobs ADD COLUMN employee_id uuid;  -- whose positions are erased
ALTER TABLE jobs ADD CONSTRAINT jobs_employee
    FOREIGN KEY (org_id, employee_id) REFERENCES employees (org_id, id);
CREATE INDEX jobs_erasing ON jobs (id) WHERE state IN ('waiting', 'running') AND kind = 'erase_positions';

-- The end of an erasure is written down with what was erased: the job itself goes after a week.
CREATE CONSTRAINT TRIGGER audit_end AFTER UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.kind = 'erase_positions' AND NEW.ended_at IS NOT NULL AND OLD.ended_at IS NULL)
    EXECUTE FUNCTION audit_row('job', 'id');

GRANT SELECT (employee_id) ON tracker_assignments TO opsc_deliver;
GRANT SELECT (org_id, tracker_id, hour) ON fix_hours TO opsc_deliver;
GRANT SELECT (id, org_id, tracker_id, first_received_at, last_received_at, released_at), DELETE
    ON quarantine TO opsc_deliver;
-- The position of before takes the place of one that is erased.
GRANT SELECT, INSERT, UPDATE ON latest_employee_positions TO opsc_deliver;
