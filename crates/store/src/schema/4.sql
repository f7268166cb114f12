-- XMPP users to whom SIP users have written, who may answer for a while though nobody has added them.
CREATE TABLE written (
    pair TEXT    PRIMARY KEY,           -- as in `watch`
    date INTEGER NOT NULL               -- milliseconds since 1970
) WITHOUT ROWID;
CREATE INDEX written_by_date ON written (date);
