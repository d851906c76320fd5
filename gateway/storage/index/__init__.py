"""The index: buckets, object versions, multipart uploads, blobs and key epochs, in a transactional database."""
