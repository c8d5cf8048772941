-- The address and the logo of an organization, for its documents.

-- logo_sha256: of the logo that there is.
ALTER TABLE organizations
    ADD COLUMN address text CHECK (length(address) BETWEEN 1 AND 500),
    ADD COLUMN logo_sha256 bytea CHECK (length(logo_sha256) = 32);

-- Copies of a logo without metadata: `content` for documents, `thumb` for the customer's page.
CREATE TABLE organization_logos (
    org_id uuid PRIMARY KEY REFERENCES organizations,
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png')),
    width_px integer NOT NULL CHECK (width_px BETWEEN 1 AND 1000),
    height_px integer NOT NULL CHECK (height_px BETWEEN 1 AND 1000),
    content bytea STORAGE EXTERNAL NOT NULL CHECK (length(content) BETWEEN 1 AND 1048576),
    thumb bytea STORAGE EXTERNAL NOT NULL CHECK (length(thumb) BETWEEN 1 AND 200000)
);

-- logo: the thumb of that time, whose hash the document has.
ALTER TABLE quote_documents
    ADD COLUMN logo bytea CHECK (length(logo) BETWEEN 1 AND 200000);
ALTER TABLE quote_documents ALTER COLUMN logo SET STORAGE EXTERNAL;

-- Row-level security and rights ---------------------------------------------------------------

ALTER TABLE organization_logos ENABLE ROW LEVEL SECURITY;
ALTER TABLE organization_logos FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON organization_logos USING (org_id = (SELECT current_org_id()));
GRANT SELECT, INSERT, UPDATE, DELETE ON organization_logos TO opsc_app;
GRANT UPDATE (address, logo_sha256) ON organizations TO opsc_app;
