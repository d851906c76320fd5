-- The seal of a row, an HMAC over all its other columns (docs/formats/identity-row.md), in every table that says who may
-- do what. NULL in rows of an earlier release, which the first start of this one seals.
ALTER TABLE account ADD COLUMN seal BLOB;
ALTER TABLE account_request ADD COLUMN seal BLOB;
ALTER TABLE access_key ADD COLUMN seal BLOB;
ALTER TABLE entity ADD COLUMN seal BLOB;
ALTER TABLE role ADD COLUMN seal BLOB;
ALTER TABLE membership ADD COLUMN seal BLOB;
ALTER TABLE inline_policy ADD COLUMN seal BLOB;
ALTER TABLE attachment ADD COLUMN seal BLOB;
ALTER TABLE policy ADD COLUMN seal BLOB;
ALTER TABLE policy_version ADD COLUMN seal BLOB;
ALTER TABLE oidc_provider ADD COLUMN seal BLOB;
