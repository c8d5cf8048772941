-- Points of an uploaded track say so until they are judged: in the inbox, as stored fixes, and where an asset waits
-- (docs/decisions/0050-events-of-uploads.md). Bits of flags: 8 uploaded, 16 its events go to no webhook endpoint.
ALTER TABLE inbox ADD COLUMN fix_flags smallint NOT NULL DEFAULT 0;
ALTER TABLE asset_backlogs ADD COLUMN flags smallint NOT NULL DEFAULT 0;

-- Whether endpoints get the event.
ALTER TABLE events ADD COLUMN for_webhooks boolean NOT NULL DEFAULT true;
GRANT INSERT (for_webhooks) ON events TO opsc_app, opsc_deliver;
