-- An event is written down after it occurred: by the clock, not by when its transaction began, so that
-- `created_at` is never before an `occurred_at` that the API read from the same clock.
ALTER TABLE events ALTER COLUMN created_at SET DEFAULT clock_timestamp();
