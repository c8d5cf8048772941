-- What the broker knows a tracker's secret by, in the form of mosquitto's password file: salted
-- PBKDF2 with SHA-512 ($7$rounds$salt$digest). PostgreSQL has all of them, so that what the broker
-- knows can be made anew at any time. NULL: registered before this column was there; the tracker can
-- sign in again once its secret has been rotated.
ALTER TABLE trackers
    ADD COLUMN broker_hash text CHECK (
        broker_hash ~ '^\$7\$[1-9][0-9]{0,6}\$[A-Za-z0-9+/=]{16,64}\$[A-Za-z0-9+/]{86}==$');
