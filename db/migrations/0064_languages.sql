-- The language of an organization, and how the dashboard shows things to a user.

-- language: NULL is not chosen. Documents and letters are in English then.
ALTER TABLE organizations ADD COLUMN language text CHECK (language IN ('en', 'de'));

-- NULL is not chosen. language: that of the organization then; units: metric; clock: the usual one of
-- the language; timezone: that of the browser.
ALTER TABLE users
    ADD COLUMN language text CHECK (language IN ('en', 'de')),
    ADD COLUMN units text CHECK (units IN ('metric', 'imperial')),
    ADD COLUMN clock text CHECK (clock IN ('24', '12')),
    ADD COLUMN timezone text CHECK (length(timezone) BETWEEN 1 AND 64);

GRANT UPDATE (language) ON organizations TO opsc_app;
GRANT UPDATE (language, units, clock, timezone) ON users TO opsc_app;
GRANT SELECT (language) ON organizations TO opsc_deliver;
GRANT SELECT (language) ON users TO opsc_deliver;
