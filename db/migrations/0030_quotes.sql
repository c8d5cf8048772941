-- Quotes: their revisions, the documents that were sent, links for customers, and the evidence.

-- The last number that an organization gave to a kind of thing. The row is locked by the transaction
-- that takes a number, so a number is never given twice.
CREATE TABLE number_counters (
    org_id uuid NOT NULL REFERENCES organizations,
    kind text NOT NULL CHECK (length(kind) BETWEEN 1 AND 50),
    last bigint NOT NULL CHECK (last >= 0),
    PRIMARY KEY (org_id, kind)
);

-- Quotes --------------------------------------------------------------------------------------

-- mail_state: of the letter with the quote; NULL: none was asked for. A quote is sent when the mail
-- server has taken its letter.
CREATE TABLE quotes (
    org_id uuid NOT NULL REFERENCES organizations,
    id uuid NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    revision integer NOT NULL CHECK (revision BETWEEN 1 AND 100),
    client_id uuid NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    lines jsonb NOT NULL
        CHECK (jsonb_typeof(lines) = 'array' AND jsonb_array_length(lines) BETWEEN 1 AND 200),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    valid_until date NOT NULL,
    terms text CHECK (length(terms) BETWEEN 1 AND 10000),
    notes text CHECK (length(notes) BETWEEN 1 AND 10000),
    subtotal_cents bigint NOT NULL,
    discount_cents bigint NOT NULL CHECK (discount_cents BETWEEN 0 AND subtotal_cents),
    tax_cents bigint NOT NULL CHECK (tax_cents >= 0),
    total_cents bigint NOT NULL CHECK (total_cents BETWEEN 0 AND 1000000000000),
    state text NOT NULL DEFAULT 'draft' CHECK (state IN
        ('draft', 'sent', 'viewed', 'accepted', 'declined', 'expired', 'superseded')),
    mail_state text CHECK (mail_state IN ('queued', 'sent', 'failed')),
    send_error text CHECK (length(send_error) BETWEEN 1 AND 500),
    sent_to text CHECK (length(sent_to) BETWEEN 3 AND 254),
    sent_at timestamptz,
    viewed_at timestamptz,
    decided_at timestamptz,
    decided_by text CHECK (length(decided_by) BETWEEN 1 AND 200),
    decline_reason text CHECK (length(decline_reason) BETWEEN 1 AND 2000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, number, revision),
    FOREIGN KEY (org_id, client_id) REFERENCES clients (org_id, id),
    CHECK (total_cents = subtotal_cents - discount_cents + tax_cents),
    CHECK ((state = 'draft') = (sent_at IS NULL)),
    CHECK ((state IN ('accepted', 'declined')) <= (decided_at IS NOT NULL)),
    CHECK (deleted_at IS NULL OR mail_state IS DISTINCT FROM 'queued')
);
CREATE INDEX quotes_newest ON quotes (org_id, created_at DESC, id DESC);
CREATE INDEX quotes_of_client ON quotes (org_id, client_id, created_at DESC, id DESC);
CREATE INDEX quotes_by_state ON quotes (org_id, state, created_at DESC, id DESC);
CREATE INDEX quotes_to_expire ON quotes (valid_until) WHERE state IN ('sent', 'viewed');

-- The moves of `operations/quote_states.py`; a test compares them.
CREATE TRIGGER moves BEFORE INSERT OR UPDATE OF state ON quotes FOR EACH ROW
    EXECUTE FUNCTION check_state_move('a quote', 'draft',
        'draft>sent sent>viewed sent>accepted sent>declined sent>expired sent>superseded'
        ' viewed>accepted viewed>declined viewed>expired viewed>superseded'
        ' declined>superseded expired>superseded');

-- What a customer got does not change: neither while the letter is on its way nor afterwards.
CREATE FUNCTION check_quote_content() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (OLD.state <> 'draft' OR OLD.mail_state = 'queued')
        AND (NEW.number, NEW.revision, NEW.client_id, NEW.title, NEW.lines, NEW.currency,
             NEW.valid_until, NEW.terms, NEW.notes, NEW.total_cents)
            IS DISTINCT FROM
            (OLD.number, OLD.revision, OLD.client_id, OLD.title, OLD.lines, OLD.currency,
             OLD.valid_until, OLD.terms, OLD.notes, OLD.total_cents)
    THEN
        RAISE check_violation USING CONSTRAINT = 'quotes_content',
            MESSAGE = 'the content of a quote that was sent does not change';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION check_quote_content FROM PUBLIC;
CREATE TRIGGER content BEFORE UPDATE ON quotes
    FOR EACH ROW EXECUTE FUNCTION check_quote_content();

-- Documents and evidence ----------------------------------------------------------------------

-- The document as it was sent, as canonical JSON and as a PDF. Each try to send it writes another.
CREATE TABLE quote_documents (
    org_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 2000000),
    pdf bytea STORAGE EXTERNAL NOT NULL CHECK (length(pdf) BETWEEN 1 AND 10000000),
    PRIMARY KEY (org_id, quote_id),
    FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id)
);

CREATE FUNCTION check_quote_document() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM quotes WHERE org_id = OLD.org_id AND id = OLD.quote_id
                                    AND state <> 'draft') THEN
        RAISE check_violation USING CONSTRAINT = 'quote_documents_content',
            MESSAGE = 'the document of a quote that was sent does not change';
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION check_quote_document FROM PUBLIC;
CREATE TRIGGER content BEFORE UPDATE ON quote_documents
    FOR EACH ROW EXECUTE FUNCTION check_quote_document();

-- A chain of hashes: see `operations/quote_evidence.py`. Nobody changes or removes an entry.
CREATE TABLE quote_evidence (
    org_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    place integer NOT NULL CHECK (place BETWEEN 1 AND 10),
    content bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 20000),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    signature_png bytea CHECK (length(signature_png) BETWEEN 1 AND 150000),
    PRIMARY KEY (org_id, quote_id, place),
    FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id)
);

-- Links -----------------------------------------------------------------------------------------

-- Each letter has a link of its own. A link is good for one quote, until it is decided or expires.
CREATE TABLE quote_links (
    org_id uuid NOT NULL,
    token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
    quote_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, token_hash),
    FOREIGN KEY (org_id, quote_id) REFERENCES quotes (org_id, id)
);
CREATE UNIQUE INDEX quote_links_token ON quote_links (token_hash);
CREATE INDEX quote_links_of_quote ON quote_links (org_id, quote_id);

ALTER TABLE mail_outbox
    ADD COLUMN quote_id uuid,
    DROP CONSTRAINT mail_outbox_purpose_check,
    ADD CONSTRAINT mail_outbox_purpose_check
        CHECK (purpose IN ('invitation', 'password_reset', 'quote')),
    ADD CONSTRAINT mail_outbox_quote CHECK ((purpose = 'quote') = (quote_id IS NOT NULL));

SELECT audit('quotes', 'quote', 'id');

-- Row-level security and rights ---------------------------------------------------------------

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY[
        'number_counters', 'quotes', 'quote_documents', 'quote_evidence', 'quote_links']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = (SELECT current_org_id()))',
                       tenant_table);
    END LOOP;
END
$$;
-- A link is looked up before its organization is known.
CREATE POLICY look_up ON quote_links FOR SELECT TO opsc_owner USING (true);

CREATE FUNCTION org_of_quote_link(hash bytea) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT l.org_id FROM public.quote_links l WHERE l.token_hash = hash;
END;
REVOKE EXECUTE ON FUNCTION org_of_quote_link FROM PUBLIC;

GRANT EXECUTE ON FUNCTION org_of_quote_link TO opsc_app;
GRANT SELECT, INSERT, UPDATE ON number_counters, quotes, quote_documents TO opsc_app;
GRANT SELECT, INSERT ON quote_evidence TO opsc_app;
GRANT SELECT ON quote_links TO opsc_app;

GRANT SELECT, UPDATE (state, mail_state, send_error, sent_at, updated_at) ON quotes
    TO opsc_deliver;
GRANT SELECT ON quote_documents TO opsc_deliver;
GRANT SELECT, INSERT ON quote_evidence, quote_links TO opsc_deliver;
GRANT INSERT (org_id, id, type, occurred_at, data) ON events TO opsc_deliver;
GRANT SELECT (org_id, id, name, address, email) ON clients TO opsc_deliver;
GRANT SELECT (org_id, timezone) ON organizations TO opsc_deliver;
