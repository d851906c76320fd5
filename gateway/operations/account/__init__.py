"""Operations of S3 Control: what an account says about all its buckets."""
