-- Tokens by which clients repeat a request that they lost the answer of. request is a digest of its parameters.
CREATE TABLE client_token (
    token_no   INTEGER PRIMARY KEY,
    bucket_id  BLOB NOT NULL,
    token      TEXT NOT NULL,
    request    BLOB NOT NULL,
    used_us    INTEGER NOT NULL,
    UNIQUE (bucket_id, token)
) STRICT;

CREATE INDEX client_token_by_time ON client_token (used_us);
