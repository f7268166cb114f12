-- What XMPP users may have been told to be there of the SIP users whom they watch.
CREATE TABLE shown (
    pair   TEXT NOT NULL,               -- as in `watch`
    device TEXT NOT NULL,               -- empty for the bare address
    PRIMARY KEY (pair, device)
) WITHOUT ROWID;
