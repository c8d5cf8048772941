-- Quotes: the PDF of an acceptance and the letters with it, the end of a customer's link, amounts in
-- minor units by ISO 4217, and the address of an organization's office.

-- Acceptances -------------------------------------------------------------------------------------

-- pdf: the quote with its acceptance, in the entry of the acceptance. Not valid: no entry has one yet.
ALTER TABLE quote_evidence
    ADD COLUMN pdf bytea,
    ADD CONSTRAINT quote_evidence_pdf_check CHECK (length(pdf) BETWEEN 1 AND 10000000) NOT VALID;
ALTER TABLE quote_evidence ALTER COLUMN pdf SET STORAGE EXTERNAL;

-- As in `0049_rules_for_every_writer.sql`, and an acceptance has the hash of its PDF.
CREATE OR REPLACE FUNCTION check_quote_evidence() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    facts constant jsonb := convert_from(NEW.content, 'UTF8')::jsonb;
    says constant text := CASE facts ->> 'kind' WHEN 'accepted_by_hand' THEN 'accepted'
        ELSE facts ->> 'kind' END;
    before quote_evidence;
    document quote_documents;
    faults text;
BEGIN
    SELECT * INTO before FROM quote_evidence
     WHERE org_id = NEW.org_id AND quote_id = NEW.quote_id AND place = NEW.place - 1;
    SELECT * INTO document FROM quote_documents
     WHERE org_id = NEW.org_id AND quote_id = NEW.quote_id;
    PERFORM FROM quotes WHERE org_id = NEW.org_id AND id = NEW.quote_id AND state = says;
    faults := concat_ws(', ',
        CASE WHEN NOT FOUND THEN 'state' END,
        CASE WHEN NEW.place > 1 AND before.place IS NULL THEN 'place' END,
        CASE WHEN NEW.sha256 <> sha256(NEW.content) THEN 'sha256' END,
        CASE WHEN facts ->> 'previous_sha256' IS DISTINCT FROM encode(before.sha256, 'hex')
             THEN 'previous_sha256' END,
        CASE WHEN facts ->> 'document_sha256'
                  IS DISTINCT FROM encode(sha256(document.content), 'hex')
             THEN 'document_sha256' END,
        CASE WHEN says = 'sent' AND facts ->> 'pdf_sha256'
                  IS DISTINCT FROM encode(sha256(document.pdf), 'hex') THEN 'pdf_sha256' END,
        CASE WHEN facts ->> 'signature_sha256'
                  IS DISTINCT FROM encode(sha256(NEW.signature_png), 'hex')
             THEN 'signature_sha256' END,
        CASE WHEN facts ->> 'acceptance_pdf_sha256'
                  IS DISTINCT FROM encode(sha256(NEW.pdf), 'hex')
             THEN 'acceptance_pdf_sha256' END,
        CASE WHEN replace(convert_from(before.content, 'UTF8')::jsonb ->> 'kind', '_by_hand', '')
                  = says THEN 'kind' END);
    IF faults <> '' THEN
        RAISE check_violation USING CONSTRAINT = 'quote_evidence_follows',
            MESSAGE = format('the entry does not follow in the evidence: %s', faults);
    END IF;
    RETURN NULL;
END
$$;

-- Letters about an acceptance: to the customer, and to the office. A quote has one letter of its own.
ALTER TABLE mail_outbox
    DROP CONSTRAINT mail_outbox_purpose_check,
    ADD CONSTRAINT mail_outbox_purpose_check CHECK (purpose IN
        ('invitation', 'password_reset', 'quote', 'acceptance', 'acceptance_notice',
         'endpoint_disabled')),
    DROP CONSTRAINT mail_outbox_quote,
    ADD CONSTRAINT mail_outbox_quote CHECK (
        (purpose IN ('quote', 'acceptance', 'acceptance_notice')) = (quote_id IS NOT NULL));
DROP INDEX mail_outbox_of_quote;
CREATE UNIQUE INDEX mail_outbox_of_quote ON mail_outbox (org_id, quote_id)
    WHERE gave_up_at IS NULL AND purpose = 'quote';
GRANT SELECT (purpose) ON mail_outbox TO opsc_app;

-- link_ended_at: since then the customer's link shows the accepted quote no more.
ALTER TABLE quotes
    ADD COLUMN link_ended_at timestamptz,
    ADD CONSTRAINT quotes_link_ended CHECK (link_ended_at IS NULL OR state = 'accepted') NOT VALID;

-- The address of the office: replies and accepted quotes go there.
ALTER TABLE organizations
    ADD COLUMN email text,
    ADD CONSTRAINT organizations_email_check CHECK (length(email) BETWEEN 3 AND 254);
GRANT UPDATE (email) ON organizations TO opsc_app;
GRANT SELECT (email) ON organizations TO opsc_deliver;

-- Amounts -----------------------------------------------------------------------------------------

-- Amounts were hundredths of every currency. They are minor units from now on, which differ where
-- `DIGITS` in `operations/money.py` has the currency: these quotes wait until an admin has confirmed
-- that their amounts are right.
ALTER TABLE quotes ADD COLUMN amounts_confirmed boolean NOT NULL DEFAULT true;
ALTER TABLE quotes NO FORCE ROW LEVEL SECURITY;
ALTER TABLE quotes DISABLE TRIGGER audit;
UPDATE quotes SET amounts_confirmed = false
 WHERE currency = ANY (string_to_array(
        'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'
        ' BHD IQD JOD KWD LYD OMR TND CLF UYW', ' '));
ALTER TABLE quotes ENABLE TRIGGER audit;
ALTER TABLE quotes FORCE ROW LEVEL SECURITY;
GRANT UPDATE (amounts_confirmed, link_ended_at) ON quotes TO opsc_app;

CREATE TRIGGER amounts AFTER UPDATE ON quotes FOR EACH ROW
    WHEN (NOT NEW.amounts_confirmed
          AND ((NEW.mail_state = 'queued' AND OLD.mail_state IS DISTINCT FROM 'queued')
               OR (NEW.state = 'accepted' AND OLD.state <> 'accepted')))
    EXECUTE FUNCTION refuse_row('quotes_amounts', 'the amounts of the quote are not confirmed');
