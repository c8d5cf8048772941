-- Copies of photos: what a download shows. A copy has the pixels of an attachment and nothing else.

CREATE TABLE photo_copies (
    org_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    size text NOT NULL CHECK (size IN ('full', 'thumb')),
    media_type text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png')),
    width_px integer NOT NULL CHECK (width_px BETWEEN 1 AND 4096),
    height_px integer NOT NULL CHECK (height_px BETWEEN 1 AND 4096),
    sha256 bytea NOT NULL CHECK (length(sha256) = 32),
    -- Compressed already, and not compressed again, so that a part is read without the rest.
    content bytea STORAGE EXTERNAL NOT NULL CHECK (length(content) BETWEEN 1 AND 16777216),
    PRIMARY KEY (org_id, attachment_id, size),
    FOREIGN KEY (org_id, attachment_id) REFERENCES attachments (org_id, id) ON DELETE CASCADE
);

ALTER TABLE photo_copies ENABLE ROW LEVEL SECURITY;
ALTER TABLE photo_copies FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON photo_copies USING (org_id = (SELECT current_org_id()));
GRANT SELECT, INSERT ON photo_copies TO opsc_app;
