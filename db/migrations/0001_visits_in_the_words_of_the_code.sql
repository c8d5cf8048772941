-- The fix that opened a visit is `first_fix_*` in code and columns, next to `exit_fix_*`. `change_time`
-- is the zone's change, where that opened the visit; `again` is how many visits of the zone that the
-- same fix opened were known before. `*_announced`: an event was published about it, even if it does
-- not hold any more. Indexes, checks and rights follow their columns; no row is written.
ALTER TABLE visits RENAME opening_time TO first_fix_time;
ALTER TABLE visits RENAME opening_seq TO first_fix_seq;
ALTER TABLE visits RENAME opening_change TO change_time;
ALTER TABLE visits RENAME opening_again TO again;
ALTER TABLE visits RENAME CONSTRAINT visits_opening_again_check TO visits_again_check;
ALTER TABLE visits RENAME exit_told TO exit_announced;
ALTER TABLE visits RENAME dwell_told TO dwell_announced;
ALTER TABLE visits RENAME overspeed_told TO overspeed_announced;
