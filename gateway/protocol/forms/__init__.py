"""Uploads from browser forms: the form as bytes, its fields as the headers they stand for, and its policy.

Amazon S3 API Reference, "Browser-Based Uploads Using POST (AWS Signature Version 4)".
"""
