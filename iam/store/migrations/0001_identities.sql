-- Accounts and their root users' access keys. Secrets are sealed, bound to the access key's id.
CREATE TABLE account (
    account_id   TEXT PRIMARY KEY NOT NULL,
    canonical_id TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    created_us   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE access_key (
    access_key_id TEXT PRIMARY KEY NOT NULL,
    account_id    TEXT NOT NULL REFERENCES account (account_id),
    sealed_secret BLOB NOT NULL,
    is_active     INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    created_us    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX access_key_by_account ON access_key (account_id, created_us, access_key_id);
