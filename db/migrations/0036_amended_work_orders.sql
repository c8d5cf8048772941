-- A punch whose site is amended begins to work on the order of its new site: ingest sets it anew.

GRANT UPDATE (work_order_id) ON punches TO opsc_ingest;
