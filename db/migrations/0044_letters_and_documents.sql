-- Letters that can be withdrawn and are counted, and documents of quotes that count as storage.

-- Letters -------------------------------------------------------------------------------------

-- claimed_until: until then one process is sending the letter.
ALTER TABLE mail_outbox ADD COLUMN claimed_until timestamptz;
-- Organizations take turns, so their letters are found one organization after the other.
CREATE INDEX mail_outbox_to_users ON mail_outbox (org_id, next_attempt_at)
    WHERE gave_up_at IS NULL AND purpose <> 'quote';
CREATE INDEX mail_outbox_quotes ON mail_outbox (org_id, next_attempt_at)
    WHERE gave_up_at IS NULL AND purpose = 'quote';
CREATE UNIQUE INDEX mail_outbox_of_quote ON mail_outbox (org_id, quote_id)
    WHERE gave_up_at IS NULL AND quote_id IS NOT NULL;

ALTER TABLE quotes
    DROP CONSTRAINT quotes_mail_state_check,
    ADD CONSTRAINT quotes_mail_state_check
        CHECK (mail_state IN ('queued', 'sent', 'failed', 'withdrawn'));

-- How many letters the users of an organization asked for on its last such day, in UTC.
CREATE TABLE letter_counts (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    day date NOT NULL,
    letters integer NOT NULL CHECK (letters > 0)
);
ALTER TABLE letter_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE letter_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON letter_counts USING (org_id = (SELECT current_org_id()));
GRANT SELECT, INSERT, UPDATE ON letter_counts TO opsc_app;
GRANT SELECT (quote_id, gave_up_at, claimed_until), DELETE ON mail_outbox TO opsc_app;

-- Documents -----------------------------------------------------------------------------------

-- Row-level security is forced on the owner too, who runs this and has no tenant.
ALTER TABLE quote_documents NO FORCE ROW LEVEL SECURITY;
ALTER TABLE attachment_usage NO FORCE ROW LEVEL SECURITY;
INSERT INTO attachment_usage AS usage (org_id, files, bytes)
SELECT org_id, 0, sum(length(content) + length(pdf) + coalesce(length(logo), 0))
  FROM quote_documents GROUP BY org_id
    ON CONFLICT (org_id) DO UPDATE SET bytes = usage.bytes + excluded.bytes;
ALTER TABLE attachment_usage FORCE ROW LEVEL SECURITY;
ALTER TABLE quote_documents FORCE ROW LEVEL SECURITY;
