-- Whether the newest version of an upload's key became another one since the upload was created: a conditional
-- CompleteMultipartUpload is refused then. Not in the sealed column: it can make a completion fail, nothing else.
ALTER TABLE multipart_upload ADD COLUMN is_key_changed INTEGER NOT NULL DEFAULT 0;
