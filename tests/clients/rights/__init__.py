"""One case or more for each operation of S3, KMS, IAM and STS: a request, and the rights that it needs exactly."""
