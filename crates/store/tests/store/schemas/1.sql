PRAGMA application_id = 1734438503;
CREATE TABLE schema_version (version INTEGER PRIMARY KEY);
CREATE TABLE message (
    id        INTEGER PRIMARY KEY,
    key       TEXT    NOT NULL UNIQUE,
    direction INTEGER NOT NULL,
    stanza    TEXT    NOT NULL,
    report_to TEXT,
    accepted  INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    report    TEXT
);
CREATE TABLE settled (
    key  TEXT    PRIMARY KEY,
    date INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX settled_by_date ON settled (date);
INSERT INTO schema_version VALUES (1);
INSERT INTO message (key, direction, stanza, report_to, accepted, expires)
    VALUES ('old', 1, '<message id=''old''/>', 'sip:romeo@example.com', 1700000000000, 1700086400000);
INSERT INTO settled VALUES ('older', 1700000000000);
