-- Of accounts: an e-mail address, unique whatever its capitals; whether it is suspended; which one manages the others, the
-- first that was made; what S3 blocks in all its buckets, the names of the settings that are on (NULL: none was ever put);
-- and its alias. Of access keys: whether the configuration names them.
ALTER TABLE account ADD COLUMN email TEXT;
ALTER TABLE account ADD COLUMN is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1));
ALTER TABLE account ADD COLUMN is_management INTEGER NOT NULL DEFAULT 0 CHECK (is_management IN (0, 1));
ALTER TABLE account ADD COLUMN public_access_block TEXT;
ALTER TABLE account ADD COLUMN alias TEXT;

UPDATE account SET is_management = 1
    WHERE account_id = (SELECT account_id FROM account ORDER BY created_us, account_id LIMIT 1);

CREATE UNIQUE INDEX account_by_email ON account (email COLLATE NOCASE) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX account_by_alias ON account (alias) WHERE alias IS NOT NULL;
CREATE UNIQUE INDEX account_of_management ON account (is_management) WHERE is_management = 1;

ALTER TABLE access_key ADD COLUMN is_configured INTEGER NOT NULL DEFAULT 0 CHECK (is_configured IN (0, 1));
