-- Finds the null version among the older ones of a key: a write while versioning is suspended replaces it.
CREATE INDEX object_version_null ON object_version (bucket_id, key) WHERE history = 1 AND version_id = 'null';
