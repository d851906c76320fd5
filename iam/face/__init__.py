"""The query APIs of IAM and STS as a table: form parameters in, documents out. Pure but for the store it asks."""
