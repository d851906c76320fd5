"""What botocore's models say about IAM and STS: operations, and the shapes of the requests that are served."""
