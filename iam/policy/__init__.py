"""The policy language and its one evaluator, for S3, KMS, IAM and STS alike: pure, without clock and without I/O.

`parse` turns a document's text into a `document.Policy`, or says in the asking service's words what is wrong with it;
`evaluation` decides a request under the policies in force. Source: IAM User Guide, "IAM JSON policy reference".
"""
