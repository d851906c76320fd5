"""Blobs in a bucket of any S3: ciphertext under names that say nothing but the blob's id."""
