-- What an operator's command did to keys and roots, until the key service has put it into the audit trail: written in
-- the transaction of the act itself. `details` is a JSON object of strings and numbers, without any secret.
CREATE TABLE kms_act (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    acted_us INTEGER NOT NULL,
    details  TEXT NOT NULL
) STRICT;
