-- Messages that we have accepted and that are not settled.
CREATE TABLE message (
    id        INTEGER PRIMARY KEY,      -- the order of acceptance
    key       TEXT    NOT NULL UNIQUE,
    direction INTEGER NOT NULL,         -- 1 to XMPP, 2 to SIP
    stanza    TEXT    NOT NULL,
    report_to TEXT,
    accepted  INTEGER NOT NULL,         -- milliseconds since 1970
    expires   INTEGER NOT NULL,
    report    TEXT                      -- owed to the sender once delivery has failed
);

-- Keys of messages settled not long ago, so that a retransmission is known as one.
CREATE TABLE settled (
    key  TEXT    PRIMARY KEY,
    date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX settled_by_date ON settled (date);
