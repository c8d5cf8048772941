-- A list that is too large for a request is written as a file by a job. Its result is an object of the archive's store
-- (docs/decisions/0056-exports-as-jobs.md).
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check
    CHECK (kind IN ('import_assets', 'import_trackers', 'upload_track', 'erase_positions', 'export'));
ALTER TABLE jobs ADD COLUMN object_id uuid;  -- of the result; NULL: there is none, or none any more
GRANT UPDATE (object_id) ON jobs TO opsc_app, opsc_deliver;
-- An object is noted before it is written; one that comes to nothing goes sooner.
GRANT UPDATE (remove_at) ON archive_removals TO opsc_deliver;
