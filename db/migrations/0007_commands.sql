-- What a user asks a device to do (docs/decisions/0046-commands-to-devices.md). Its state follows from its times, so
-- nobody has to be awake when it expires. The listener marks a command as sent before the device gets a byte of it.
CREATE TABLE commands (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    tracker_id uuid NOT NULL,
    text text NOT NULL CHECK (text ~ '^[ -~]{1,200}$'),
    repeatable boolean NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    sends smallint NOT NULL DEFAULT 0 CHECK (sends BETWEEN 0 AND 5),
    sent_at timestamptz,  -- the last time
    answer_until timestamptz,  -- how long the answer is waited for; NULL: the protocol has none
    answered_at timestamptz,
    answer text CHECK (length(answer) <= 2048),
    cancelled_at timestamptz,
    PRIMARY KEY (org_id, id),
    FOREIGN KEY (org_id, tracker_id) REFERENCES trackers (org_id, id),
    FOREIGN KEY (org_id, created_by) REFERENCES users (org_id, id),
    CONSTRAINT commands_sent CHECK ((sends = 0) = (sent_at IS NULL)),
    CONSTRAINT commands_answered CHECK ((answered_at IS NULL) = (answer IS NULL))
);
CREATE INDEX commands_newest ON commands (org_id, created_at DESC, id DESC);
CREATE INDEX commands_of_tracker ON commands (org_id, tracker_id, created_at DESC, id DESC);
CREATE INDEX commands_open ON commands (expires_at) WHERE answered_at IS NULL AND cancelled_at IS NULL;
CREATE INDEX commands_by_age ON commands (created_at);
SELECT make_resource('commands', audited_as => 'command', audited_on => 'INSERT OR UPDATE');
GRANT SELECT, INSERT, DELETE, UPDATE (cancelled_at) ON commands TO opsc_app;
GRANT SELECT (org_id, id, created_at), DELETE ON commands TO opsc_deliver;
CREATE POLICY listen ON commands TO opsc_listen USING (true) WITH CHECK (true);
GRANT SELECT (org_id, id, tracker_id, text, repeatable, created_at, expires_at, sends, sent_at, answer_until,
    answered_at, cancelled_at), UPDATE (sends, sent_at, answer_until, answered_at, answer) ON commands TO opsc_listen;

-- Whether the device takes commands as it is connected; NULL: written by an older version.
ALTER TABLE device_connections ADD COLUMN takes_commands boolean;

-- The topic on which the client of a session hears commands, if it has subscribed to one.
ALTER TABLE device_sessions ADD COLUMN command_topic text CHECK (length(command_topic) <= 256);
