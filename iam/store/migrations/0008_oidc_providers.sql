-- OpenID Connect providers, by the issuer's URL without its scheme, which their ARNs have. The lists are JSON.
CREATE TABLE oidc_provider (
    account_id  TEXT NOT NULL REFERENCES account (account_id),
    name        TEXT NOT NULL,
    url         TEXT NOT NULL,
    created_us  INTEGER NOT NULL,
    client_ids  TEXT NOT NULL,
    thumbprints TEXT NOT NULL,
    tags        TEXT NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;
