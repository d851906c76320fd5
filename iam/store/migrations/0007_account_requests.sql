-- Requests of Organizations to make an account, and what became of each: the account, or why there is none.
CREATE TABLE account_request (
    request_id   TEXT PRIMARY KEY NOT NULL,
    account_name TEXT NOT NULL,
    requested_us INTEGER NOT NULL,
    account_id   TEXT REFERENCES account (account_id),
    failure      TEXT,
    CHECK ((account_id IS NULL) != (failure IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX account_request_by_time ON account_request (requested_us);
