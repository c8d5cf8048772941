-- Quarantine that is bounded and can be released, and the inbox through which its messages go.

-- Inbox ---------------------------------------------------------------------------------------

-- Messages that do not come from the broker. Whoever takes one in writes it here; ingest reads it
-- as it reads the broker's and deletes it in the transaction that stores its fixes.
CREATE TABLE inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id uuid REFERENCES organizations,  -- NULL: from quarantine, where the sender was not known
    topic text NOT NULL,
    payload bytea NOT NULL CHECK (length(payload) <= 2097152),
    received_at timestamptz NOT NULL DEFAULT now(),
    quarantine_id uuid  -- the row that was released; it goes with the inbox row, or comes back
);

-- Quarantine ----------------------------------------------------------------------------------

ALTER TABLE quarantine
    ADD COLUMN tracker_id uuid,           -- NULL: no tracker of ours
    ADD COLUMN counts_only boolean NOT NULL DEFAULT false,  -- of what is beyond the bound of a day
    ADD COLUMN releases integer NOT NULL DEFAULT 0,         -- how often the message was released
    ADD COLUMN released_at timestamptz;   -- set while the message waits in the inbox
CREATE INDEX quarantine_of_tracker ON quarantine (org_id, tracker_id, last_received_at DESC, id DESC);
CREATE INDEX quarantine_oldest ON quarantine (last_received_at);

-- How much was kept on a day (UTC) of a tracker, or of all messages without an organization, which
-- have the tracker 00000000-0000-0000-0000-000000000000.
CREATE TABLE quarantine_usage (
    day date NOT NULL,
    tracker_id uuid NOT NULL,
    kept_rows bigint NOT NULL,
    kept_bytes bigint NOT NULL,
    PRIMARY KEY (day, tracker_id)
);

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE inbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON inbox USING (org_id = (SELECT current_org_id()));

-- What has no organization is the operator's, who acts as the owner.
CREATE POLICY operator ON inbox TO opsc_owner USING (org_id IS NULL);
CREATE POLICY operator ON quarantine TO opsc_owner USING (org_id IS NULL);

GRANT SELECT, INSERT ON inbox TO opsc_app;
GRANT UPDATE (released_at, releases), DELETE ON quarantine TO opsc_app;

GRANT SELECT, DELETE ON inbox TO opsc_ingest;
GRANT DELETE ON quarantine TO opsc_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON quarantine_usage TO opsc_ingest;
