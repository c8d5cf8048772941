-- What was received since (`GET /v1/gps-events?received_after=`): few pages of each chunk are looked at.
CREATE INDEX gps_events_received ON gps_events USING brin (received_at) WITH (autosummarize = on);
