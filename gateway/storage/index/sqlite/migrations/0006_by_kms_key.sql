-- What a KMS key opens. Entries of one version of a key come in order of rowid: at the end, as rows do.
CREATE INDEX object_version_by_kms_key ON object_version (key_arn, key_version) WHERE key_arn IS NOT NULL;

CREATE INDEX multipart_upload_by_kms_key ON multipart_upload (key_arn) WHERE key_arn IS NOT NULL;
