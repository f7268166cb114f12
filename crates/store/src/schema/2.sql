-- Who may see whose presence.
CREATE TABLE watch (
    direction     INTEGER NOT NULL,     -- 1 an XMPP user watches a SIP user, 2 the other way
    pair          TEXT    NOT NULL,     -- bare addresses: the XMPP user, a space, the SIP user
    authorisation INTEGER NOT NULL,     -- 1 pending, 2 granted, 3 denied
    PRIMARY KEY (direction, pair)
) WITHOUT ROWID;

-- The SIP dialogs of watches, so that a restart goes on with them (RFC 3261 §12).
CREATE TABLE dialog (
    tag        TEXT    PRIMARY KEY,     -- ours
    direction  INTEGER NOT NULL,
    pair       TEXT    NOT NULL,
    call_id    TEXT    NOT NULL,
    local      TEXT    NOT NULL,        -- From and To of our requests, with tags
    remote     TEXT    NOT NULL,
    local_seq  INTEGER NOT NULL,
    remote_seq INTEGER,
    target     TEXT    NOT NULL,        -- the Request-URI of our requests
    routes     BLOB    NOT NULL,        -- Route values, octet for octet, one in a line
    secure     INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    authorised INTEGER NOT NULL,
    expires    INTEGER NOT NULL         -- milliseconds since 1970
) WITHOUT ROWID;
CREATE INDEX dialog_by_watch ON dialog (direction, pair);
